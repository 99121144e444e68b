"""Trainings that go on from any step end as those that were never left: weights, chance, losses."""

import contextlib
import itertools
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from capflow.data.batches import Batches
from capflow.models.captioner import DECODERS
from capflow.models.devices import seed_everything
from capflow.models.inputs import AugmentedPixels, EncodedPixels
from capflow.params import AugmentParams
from capflow.training.checkpoint import Checkpoints
from capflow.training.loop import Split, Trainer
from capflow.training.state import State, capture, restore
from tests.tiny import CPU, captioner, captions, pixels, train_params
from tests.training.stored import SAMPLING, Notes, validating

PLAIN: dict[str, Any] = {"epochs": 2, "schedule": {"name": "plateau", "warmup": 0.2}}
KINDS: dict[str, dict[str, Any]] = {
    "plain": PLAIN,
    "self-critical": PLAIN | {"self_critical": {"epochs": 1, "lr": 0.001, "samples": 2, "bleu": 0.0}},
    "guesses": PLAIN | {"scheduled_sampling": 0.7, "batches": "length"},
    "averaged": PLAIN | {"ema": 0.9, "optimizer": "adamw", "weight_decay": 0.1},
    "accumulated": PLAIN | {"accumulate": 2, "patience": 1, "clip": 0.1},
    "late-encoder": PLAIN | {"encoder": {"from_epoch": 2, "from_layer": "layers.9", "rate": 0.5}},
    "from-a-model": PLAIN | {"start": "some"},
    "everything": {
        **PLAIN,
        "ema": 0.9,
        "accumulate": 2,
        "scheduled_sampling": 0.7,
        "self_critical": {"epochs": 2, "lr": 0.001, "samples": 2, "bleu": 0.0},
    },
}


TIMES = {"seconds", "elapsed", "speeds"}


class LeftError(Exception):
    """The training was left."""


@pytest.fixture(autouse=True, scope="module")
def _determinism() -> Iterator[None]:
    """What `seed_everything` sets for the whole process is set back."""
    yield
    torch.use_deterministic_algorithms(mode=False)


def prepare(decoder: str, kind: str, precision: str) -> Trainer:
    """A training with all that is random: dropout, crops, mirror images, samples, and a score by chance."""
    seed_everything(3)
    shape = {"name": decoder, "embedding": 16, "hidden": 16, "tied": True, "dropout": 0.3, "batch_norm": True}
    model = captioner(3, encoder={"trainable": True, "features": "grid"}, decoder=shape)
    params = train_params(precision=precision, **with_schedule(KINDS[kind]))
    views, pictures = torch.Generator().manual_seed(3), pixels(5)
    seen = AugmentedPixels(pictures, model, CPU, AugmentParams(crop=28, area=0.5, flip=True), views)
    told = Batches(*captions(), params.batch_size, params.batches, 3)
    val = Split(told, EncodedPixels(pictures, model, CPU))

    def score() -> dict[str, float]:
        return {"val_CIDEr": random.random() + float(np.random.rand())}  # noqa: NPY002

    validate = validating(model, val, score)
    return Trainer(model, Split(told, seen, views), validate, SAMPLING, params, Notes())


def with_schedule(changes: dict[str, Any]) -> dict[str, Any]:
    whole = train_params().schedule.model_dump()
    return changes | {"schedule": whole | changes["schedule"]}


def run_until(trainer: Trainer, moments: int) -> int:
    """Train; leave at the moment of that number. The moments that there were."""
    count = 0

    def moment(_: bool) -> None:
        nonlocal count
        if count == moments:
            raise LeftError
        count += 1

    with contextlib.suppress(LeftError):
        trainer.run(moment)
    return count


def end(trainer: Trainer) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """All that a training has come to, but for times."""
    values, tensors, best = capture(trainer)
    tensors = dict(tensors) | {f"best.{name}": tensor for name, tensor in best.items()}
    return {key: value for key, value in values.items() if key not in TIMES}, tensors


def assert_equal(one: Trainer, other: Trainer) -> None:
    (values, tensors), (other_values, other_tensors) = end(one), end(other)
    assert values == other_values
    assert tensors.keys() == other_tensors.keys()
    for name, tensor in tensors.items():
        assert torch.equal(tensor, other_tensors[name]), name
        assert name.startswith("best.") or tensor.stride() == other_tensors[name].stride(), name


def through_disk(folder: Path, state: State) -> State:
    Checkpoints(folder, "of this test").save(state)
    read = Checkpoints(folder, "of this test").newest()
    assert read is not None
    return read


FEW = [*((decoder, "everything", "fp32") for decoder in DECODERS), ("lstm", "from-a-model", "fp32")]
ALL = [case for case in itertools.product(DECODERS, KINDS, ("fp32", "bf16")) if case not in FEW]


@pytest.mark.parametrize(
    ("decoder", "kind", "precision"), [*FEW, *(pytest.param(*case, marks=pytest.mark.slow) for case in ALL)]
)
def test_row_38_resumed_at_any_step(decoder: str, kind: str, precision: str, tmp_path: Path) -> None:
    whole = prepare(decoder, kind, precision)
    moments = run_until(whole, -1)
    # In the first epoch, in the first self-critical one, and in the last.
    quick = (decoder, kind, precision) in FEW
    places = (1, moments // 2 + 1, moments - 2) if quick else range(moments)
    for place in places:
        left = prepare(decoder, kind, precision)
        run_until(left, place)
        state = through_disk(tmp_path / str(place), capture(left))
        taken_up = prepare(decoder, kind, precision)
        random.seed(99)
        torch.rand(3)
        restore(taken_up, state)
        assert_equal(left, taken_up)
        assert run_until(taken_up, -1) == moments - place - 1
        assert_equal(whole, taken_up)
        assert record(taken_up) == record(whole)


def test_row_38_resumed_where_what_it_starts_from_was_being_validated() -> None:
    """Nothing of epoch 0 is there yet; it comes once."""
    whole = prepare("lstm", "from-a-model", "fp32")
    run_until(whole, -1)
    left = prepare("lstm", "from-a-model", "fp32")

    def interrupted() -> dict[str, float]:
        raise LeftError

    left.validate = interrupted
    run_until(left, -1)
    assert (left.step, left.history.epochs) == (0, [])
    state = capture(left)
    taken_up = prepare("lstm", "from-a-model", "fp32")
    random.seed(99)
    restore(taken_up, state)
    run_until(taken_up, -1)
    assert [row["epoch"] for row in taken_up.history.epochs] == [0, 1, 2]
    assert_equal(whole, taken_up)
    assert record(taken_up) == record(whole)


def record(trainer: Trainer) -> set[tuple[int, str, float]]:
    """What MLflow would be told, but for times; a repetition is dropped by the run's recorder."""
    assert isinstance(trainer.recorder, Notes)
    rows = [(step, *item) for step, values in trainer.recorder.rows for item in values.items()]
    return {row for row in rows if row[1] != "captions_per_second"}
