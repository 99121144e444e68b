"""What a GPU makes of the same code: features, an epoch of COCO, a search, a training step.

`make bench-gpu` measures where there is one. Elsewhere the table of docs/performance.md says that nothing was
measured, and the tests run the same functions at a small size on the processor.
"""

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch

from benchmarks.page import write_table
from benchmarks.search import SEARCH
from benchmarks.training_step import PARAMS, Step, TutorialStep
from capflow.data.batches import Batches
from capflow.data.captions import EncodedCaptions
from capflow.models.captioner import Captioner, CaptionerConfig
from capflow.models.decoder import Shape
from capflow.models.devices import autocast
from capflow.models.encoder import Encoder
from capflow.models.generate import generate
from capflow.models.inputs import stored_inputs
from capflow.models.lstm import LSTMDecoder
from capflow.params import DecoderParams, EncoderParams, TensorParams, load_params
from capflow.text.vocabulary import END, START
from capflow.training.cross_entropy import CrossEntropy
from capflow.training.phase import Phase

# Multiplications and additions of one picture of 224 x 224 pixels, from torchvision's documentation.
OPERATIONS = {"resnet50": 2 * 4.09e9, "resnet101": 2 * 7.80e9}
GRID = PARAMS.model_copy(update={"name": "attention", "attention": 512, "embedding": 512})


class Size(NamedTuple):
    """How much is measured; by default COCO as Karpathy splits it."""

    pictures: int = 123_287
    captions: int = 414_113
    searched: int = 5_000
    encoded: int = 4_096
    square: int = 8_192
    batch: int = 512
    channels: int = 2_048
    words: int = 9_500


class Outcome(NamedTuple):
    """A line of the table."""

    work: str
    result: str
    goal: str


def main() -> None:
    """Measure and write the table."""
    if not torch.cuda.is_available():
        write_table("gpu table", "No GPU was at hand: not measured.\n")
        return
    device = torch.device("cuda")
    lines = [f"| {o.work} | {o.result} | {o.goal} |\n" for o in outcomes(device, Size())]
    head = f"`make bench-gpu`, {torch.cuda.get_device_name()}, torch {torch.__version__}:\n\n"
    write_table("gpu table", head + "| work | result | goal |\n|---|---|---|\n" + "".join(lines))


def outcomes(device: torch.device, size: Size) -> list[Outcome]:
    """All that is measured."""
    roof = matmul_rate(device, size)
    found = [features(name, device, size, roof) for name in OPERATIONS]
    found.append(Outcome("epoch, 414,113 captions, pooled", f"{epoch(PARAMS, device, size):.1f} s", "<= 5 s"))
    found.append(Outcome("epoch, 414,113 captions, 7x7", f"{epoch(GRID, device, size):.1f} s", "<= 15 s"))
    found.append(Outcome("beam 5, 5,000 images", f"{search(device, size):.2f} s", "<= 2 s"))
    found.append(Outcome("training step", f"{step(device, size):.1f}x the tutorials' loop", ">= 10x"))
    return found


def seconds(device: torch.device, work: Callable[[], object], rounds: int = 3) -> float:
    """The least seconds of several runs after one for warmth, the device's work included."""
    best = float("inf")
    for number in range(rounds + 1):
        start = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        if number:
            best = min(best, time.perf_counter() - start)
    return best


def matmul_rate(device: torch.device, size: Size) -> float:
    """Operations a second of a large product in bf16: the roof that others are held against."""
    matrix = torch.randn(size.square, size.square, device=device, dtype=torch.bfloat16)
    return float(2 * size.square**3 / seconds(device, lambda: matrix @ matrix))


def features(name: str, device: torch.device, size: Size, roof: float) -> Outcome:
    """Pooled features of a frozen encoder."""
    params = EncoderParams(
        name=name,
        weights="none",
        padding="torch",
        trainable=False,
        features="pooled",
        mirrored=False,
        crops=0,
    )
    encoder = Encoder(params).to(device).eval()
    pixels = torch.randint(256, (min(64, size.encoded), 224, 224, 3), dtype=torch.uint8)

    @torch.inference_mode()
    def encode() -> None:
        with autocast(device):
            for _ in range(0, size.encoded, len(pixels)):
                encoder(pixels.to(device)).half().cpu()

    rate = size.encoded / seconds(device, encode, rounds=1)
    share = rate * OPERATIONS[name] / roof
    return Outcome(f"{name} features", f"{rate:,.0f} pictures/s, {share:.0%} of a product's rate", "listed")


def epoch(decoder: DecoderParams, device: torch.device, size: Size) -> float:
    """Seconds of an epoch of the pipeline's training, over stored features."""
    pooled = decoder.name == "lstm"
    model = captioner(decoder, "pooled" if pooled else "grid", size.words).to(device)
    stored = np.zeros((size.pictures, 1, 1 if pooled else 49, size.channels), np.float16)
    batches = Batches(captions(size), np.arange(size.pictures), size.batch, "padded", 1)
    params = load_params().train
    objective = CrossEntropy(model, stored_inputs(stored, device, None), params)
    phase = Phase(model, objective, params, params.lr, 1, len(batches))

    def work() -> None:
        for batch in batches.epoch(1):
            phase.update([batch])

    return seconds(device, work, rounds=1)


def captioner(decoder: DecoderParams, features: str, words: int) -> Captioner:
    """A decoder behind a frozen ResNet-50."""
    encoder = {
        "name": "resnet50",
        "weights": "none",
        "padding": "torch",
        "trainable": False,
        "mirrored": False,
        "crops": 0,
    }
    return Captioner(
        CaptionerConfig(
            encoder=EncoderParams.model_validate(encoder | {"features": features}),
            decoder=decoder,
            tensors=TensorParams(size=224, fit="crop"),
            crop=0,
            words=words,
        )
    )


def captions(size: Size) -> EncodedCaptions:
    """Random words, in lengths spread as those of COCO."""
    random = np.random.default_rng(0)
    lengths = random.gamma(9.0, 1.2, size.captions).astype(np.int64).clip(5, 30) + 2
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    tokens = random.integers(4, size.words, offsets[-1]).astype(np.int32)
    tokens[offsets[:-1]], tokens[offsets[1:] - 1] = START, END
    return EncodedCaptions(tokens, offsets, np.arange(size.captions) % size.pictures)


def search(device: torch.device, size: Size) -> float:
    """Seconds of a search for the captions of as many pictures as COCO scores."""
    decoder = LSTMDecoder(PARAMS, Shape(1, size.channels, size.words)).to(device).eval()
    pictures = torch.randn(size.searched, 1, size.channels, device=device)

    def work() -> None:
        with autocast(device):
            for part in torch.split(pictures, 256):
                generate(decoder, part, SEARCH)

    return seconds(device, work)


def step(device: torch.device, size: Size) -> float:
    """How many times as fast a training step is as that of the tutorials."""
    decoder = LSTMDecoder(PARAMS, Shape(1, size.channels, size.words)).to(device)
    ours, theirs = Step(decoder, "auto"), TutorialStep(decoder)
    seen = torch.randn(256, size.channels, device=device)
    tokens = torch.randint(4, size.words, (256, 14), device=device)
    return seconds(device, lambda: theirs(seen, tokens)) / seconds(device, lambda: ours(seen, tokens))


if __name__ == "__main__":
    main()
