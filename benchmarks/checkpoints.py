"""What checkpoints cost a training, in each of which the sync of the disk is counted.

The default model learns from random pictures for some seconds, as the stage has it: with the checkpoints
that fall due. What a checkpoint of a larger model costs (ResNet-50 that learns, Up-Down, averaged weights)
is measured alone; at the default interval it is divided by that.
"""

import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.report import row
from capflow.data.batches import Batches
from capflow.data.captions import EncodedCaptions, TokenisedCaptions
from capflow.interruption import Stops
from capflow.models.captioner import Captioner, CaptionerConfig
from capflow.models.captioning import sampling_of
from capflow.models.inputs import EncodedPixels
from capflow.params import Params, load_params
from capflow.processes import ALONE, Processes
from capflow.text.vocabulary import SPECIALS, Vocabulary
from capflow.training.checkpoint import Checkpoints
from capflow.training.history import Row
from capflow.training.keeping import INTERVAL, Keeper
from capflow.training.loop import Split, Trainer
from capflow.training.state import State, capture
from capflow.training.validation import ReadAlong

PICTURES, EACH, WORDS, EPOCHS = 320, 5, 100, 6
CPU = torch.device("cpu")
LARGE: dict[str, dict[str, object]] = {
    "encoder": {"name": "resnet50"},
    "decoder": {"name": "updown", "embedding": 512, "hidden": 1024, "attention": 512},
    "train": {"ema": 0.999, "batch_size": 10, "epochs": 1},
    "tensors": {"size": 64},
}
"""About as large as models of photographs are."""


class Nowhere:
    """A recorder that takes no time."""

    def log(self, *_: object) -> None:
        """Forget it."""

    def samples(self, *_: object) -> None:
        """Forget them."""

    def flush(self) -> None:
        """Nothing waits."""


class Timed(Checkpoints):
    """Checkpoints that know what they cost."""

    seconds = 0.0
    count = 0

    def save(self, state: State) -> None:
        """As always."""
        start = time.perf_counter()
        super().save(state)
        self.seconds += time.perf_counter() - start
        self.count += 1


def main() -> None:
    """Measure and print."""
    default, large = load_params(), changed(load_params(), LARGE)
    with tempfile.TemporaryDirectory() as name:
        checkpoints = Timed(Path(name) / "small", "benchmark")
        start = time.perf_counter()
        Keeper(trainer(default, EPOCHS, PICTURES), checkpoints, Stops()).run()
        whole = time.perf_counter() - start
        share = checkpoints.seconds / whole
        print(f"{checkpoints.count} checkpoints in {whole:.1f} s: {checkpoints.seconds:.3f} s")
        tell("a short training", share)
        training = trainer(large, 1, 4)
        training.run()
        seconds, size = alone(training, Path(name) / "large")
        share = seconds / max(INTERVAL, 50 * seconds)
        print(f"ResNet-50 and Up-Down: {size / 1e6:.0f} MB in {seconds:.2f} s")
        tell("a large model", share)


def tell(work: str, share: float) -> None:
    """Print a row."""
    row(16, f"checkpoints, {work}", f"{share:.1%}", "<= 2 %", met=share <= 0.02)


def alone(training: Trainer, folder: Path) -> tuple[float, int]:
    """Seconds that a checkpoint takes, best weights included, and its bytes."""
    checkpoints = Timed(folder, "benchmark")
    checkpoints.save(capture(training))
    return checkpoints.seconds, sum(path.stat().st_size for path in folder.iterdir())


def changed(params: Params, sections: dict[str, dict[str, object]]) -> Params:
    """Parameters with other keys in some sections."""
    content = params.model_dump()
    return Params.model_validate(content | {name: content[name] | new for name, new in sections.items()})


def trainer(params: Params, epochs: int, pictures: int, processes: Processes = ALONE) -> Trainer:
    """A training on random pictures and captions of random words."""
    random = np.random.default_rng(0)
    names = tuple(f"w{number}" for number in range(WORDS))
    vocabulary = Vocabulary((*SPECIALS, *names), punctuation=False)
    said = ((number // EACH, list(random.choice(names, 10))) for number in range(pictures * EACH))
    captions = EncodedCaptions.encode(TokenisedCaptions.of(said), vocabulary)
    learning = params.train.model_copy(update={"epochs": epochs})
    config = CaptionerConfig(
        encoder=params.encoder, decoder=params.decoder, tensors=params.tensors, crop=0, words=len(vocabulary)
    )
    torch.manual_seed(0)
    model, side = Captioner(config), params.tensors.size
    pixels = random.integers(0, 256, (pictures, side, side, 3), np.uint8)
    batches = Batches(captions, np.arange(pictures), learning.batch_size, learning.batches, 1)
    split = Split(batches, EncodedPixels(pixels, model, CPU))
    sampling = sampling_of(params.generate.greedy(params.train.batch_size))

    def validate() -> Row:
        reading = ReadAlong(model, split.inputs, split.batches, learning.precision)
        reading(np.arange(pictures))
        return {"val_loss": reading.loss(), "val_CIDEr": 0.0}

    return Trainer(model, split, validate, sampling, learning, Nowhere(), processes)


if __name__ == "__main__":
    main()
