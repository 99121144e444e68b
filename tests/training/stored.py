"""Ten captions of five pictures whose features are stored, for a training."""

from typing import Any

import numpy as np

from capflow.data.batches import Batches
from capflow.models.captioning import search_of
from capflow.models.inputs import StoredFeatures
from capflow.params import TrainParams
from tests.tiny import CPU, captions, generate_params

CHANNELS = 128
SEARCH = search_of(generate_params())


def features() -> np.ndarray[Any, np.dtype[np.float16]]:
    """Features of the five pictures; the first of each picture's numbers is its row."""
    values = np.random.default_rng(0).normal(size=(5, 1, 1, CHANNELS))
    values[:, 0, 0, 0] = range(5)
    return values.astype(np.float16)


def inputs() -> StoredFeatures:
    return StoredFeatures(features(), CPU)


def batches(params: TrainParams) -> Batches:
    return Batches(*captions(), params.batch_size, params.batches, seed=1)
