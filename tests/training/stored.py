"""Ten captions of five pictures whose features are stored, and trainings on them."""

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from capflow.data.batches import Batches
from capflow.models.captioner import Captioner
from capflow.models.captioning import sampling_of
from capflow.models.inputs import StoredFeatures
from capflow.params import TrainParams
from capflow.training.history import Row, Sample
from capflow.training.loop import Split, Trainer
from capflow.training.validation import ReadAlong
from tests.tiny import CPU, captioner, captions, generate_params

CHANNELS = 128
SAMPLING = sampling_of(generate_params())


def features() -> np.ndarray[Any, np.dtype[np.float16]]:
    """Features of the five pictures; the first of each picture's numbers is its row."""
    values = np.random.default_rng(0).normal(size=(5, 1, 1, CHANNELS))
    values[:, 0, 0, 0] = range(5)
    return values.astype(np.float16)


def inputs() -> StoredFeatures:
    return StoredFeatures(features(), CPU)


def batches(params: TrainParams) -> Batches:
    return Batches(*captions(), params.batch_size, params.batches, seed=1)


class Notes:
    """A recorder that keeps what it gets."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, dict[str, float]]] = []

    def log(self, values: Mapping[str, float], step: int) -> None:
        self.rows.append((step, dict(values)))

    def samples(self, rows: Sequence[Sample]) -> None:
        """Forget them."""

    def flush(self) -> None:
        """Nothing waits."""

    def named(self, name: str) -> list[float]:
        return [values[name] for _, values in self.rows if name in values]


Score = Callable[[], dict[str, float]]


def scripted(*scores: float) -> Score:
    """A score that goes by the script, whatever the model says."""
    script = iter(scores)
    return lambda: {"val_CIDEr": next(script)}


def flat() -> dict[str, float]:
    """A score that never moves."""
    return {"val_CIDEr": 0.5}


def trainer(
    params: TrainParams,
    score: Score = flat,
    model: Captioner | None = None,
    recorder: Notes | None = None,
) -> Trainer:
    """A training on stored features; what is learnt is also what is validated."""
    split, model = Split(batches(params), inputs()), model or captioner()
    validate = validating(model, split, score)
    return Trainer(model, split, validate, SAMPLING, params, recorder or Notes())


def validating(model: Captioner, split: Split, score: Score) -> Callable[[], Row]:
    """A validation that has the loss of what people said of the five pictures, and that score."""

    def validate() -> Row:
        reading = ReadAlong(model, split.inputs, split.batches, "fp32")
        reading(np.arange(5))
        return {"val_loss": reading.loss(), **score()}

    return validate


def state(model: Captioner) -> dict[str, Tensor]:
    return copy.deepcopy(model.state_dict())


def same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)
