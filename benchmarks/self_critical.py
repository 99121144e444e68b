"""A step of self-critical training: how much of it the rewards take.

The reward is CIDEr-D and BLEU-4, of 5 captions drawn of each of 32 pictures, on random features, for 6,000
pictures with five references each; the first time it is also what pictures that look alike let expect. The
decoder first learns to say something: rewards of captions without a known n-gram would cost too little.
"""

import time

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.epoch import PICTURES, sample_captions
from benchmarks.report import row
from capflow import memory
from capflow.data.batches import Batches
from capflow.models.captioner import Captioner, CaptionerConfig
from capflow.models.captioning import sampling_of
from capflow.models.inputs import StoredFeatures
from capflow.params import load_params
from capflow.training.cross_entropy import CrossEntropy
from capflow.training.phase import Phase
from capflow.training.self_critical import Floats, Ids, Rewards, SelfCritical

CHANNELS, WARM, STEPS = 1280, 40, 10
CPU = torch.device("cpu")


class Timed(Rewards):
    """Rewards that know how long they took."""

    seconds = 0.0

    def __call__(self, rows: Ids, captions: Ids) -> Floats:
        """As :class:`Rewards`."""
        start = time.perf_counter()
        scores = super().__call__(rows, captions)
        self.seconds += time.perf_counter() - start
        return scores


def main() -> None:
    """Measure with the decoder whose steps are the shortest, and print."""
    captions, vocabulary, origin = sample_captions()
    batches = Batches(captions, np.arange(PICTURES), 160, "padded", 1)
    cells = np.random.default_rng(0).random((PICTURES, 1, 1, CHANNELS), np.float32).astype(np.float16)
    asked = load_params().train.self_critical.model_copy(update={"bleu": 1.0, "lookalikes": 1.0})
    wholes = torch.from_numpy(cells).float().flatten(1)
    for what, pictures in ("with lookalikes", wholes), ("without", None):
        rewards = Timed(batches, asked, pictures)
        step, spent = measure(captioner(len(vocabulary)), cells, batches, rewards)
        share = spent / step
        print(f"{what}: {step * 1e3:.0f} ms a step, {spent * 1e3:.1f} ms ({share:.1%}) of them for rewards")
    row(9, f"rewards in a self-critical step, {origin}", f"{share:.1%} of it", "<= 10 %", met=share <= 0.1)


def captioner(words: int) -> Captioner:
    """An LSTM of 512 on the pooled features of a MobileNetV2."""
    params = load_params()
    encoder = {"name": "mobilenet_v2", "trainable": False, "features": "pooled"}
    model = Captioner(
        CaptionerConfig(
            encoder=params.encoder.model_copy(update=encoder),
            decoder=params.decoder.model_copy(update={"hidden": 512, "embedding": 512}),
            tensors=params.tensors.model_copy(update={"size": 224}),
            crop=0,
            words=words,
        )
    )
    model.train()
    return model


def measure(
    model: Captioner, stored: NDArray[np.float16], batches: Batches, rewards: Timed
) -> tuple[float, float]:
    """Seconds of a step, and of its rewards."""
    params, inputs = load_params(), StoredFeatures(stored, CPU)
    sampling = sampling_of(params.generate)
    order = batches.epoch(1)
    for objective in (
        CrossEntropy(model, inputs, params.train),
        SelfCritical(model, inputs, rewards, sampling, params.train),
    ):
        phase = Phase(model, objective, params.train, 1e-3, 1, WARM)
        for _ in range(WARM if isinstance(objective, CrossEntropy) else 1):
            phase.update([next(order)])
    rewards.seconds, start = 0.0, time.perf_counter()
    for _ in range(STEPS):
        phase.update([next(order)])
    return (time.perf_counter() - start) / STEPS, rewards.seconds / STEPS


if __name__ == "__main__":
    memory.keep()
    main()
