"""What training pictures tell about how well captions fit others."""

import numpy as np
import pytest
import torch

from capflow.evaluation.expectation import Expectation
from capflow.evaluation.ngrams import Captions
from capflow.models.inputs import EncodedPixels, Views
from capflow.models.lookalikes import Lookalikes
from capflow.processes import Processes
from capflow.training.fit import Fit, look
from tests.tiny import CPU, captioner, pixels

MODEL = captioner(3, decoder={"name": "attention"}, encoder={"features": "grid", "trainable": True})


class _Part(Processes):
    """One of several processes, whose sums are added by hand."""

    def largest(self, number: int) -> int:
        return number

    def add(self, *tensors: torch.Tensor) -> None:
        pass


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_each_process_looks_at_pictures_that_no_other_looks_at(count: int) -> None:
    views, rows = Views(EncodedPixels(pixels(6), MODEL, CPU)), np.arange(5)
    parts = [look(views, rows, 2, _Part(rank, count)) for rank in range(count)]
    assert torch.equal(torch.stack(parts).sum(0), look(views, rows, 2))
    assert (torch.stack(parts).any(2).sum(0) == 1).all()


@pytest.mark.parametrize("weight", [0.0, 1.0, 2.5])
def test_captions_fit_as_well_as_they_are_expected(weight: float) -> None:
    random, generator = np.random.default_rng(0), torch.Generator().manual_seed(0)
    told = Captions(random.integers(4, 12, 120), np.full(24, 5), np.arange(24) // 2)
    pictures, others = torch.randn(12, 6, generator=generator), torch.randn(4, 6, generator=generator)
    said = random.integers(4, 12, (4, 3, 5))
    expected = Expectation(told)(said, Lookalikes(pictures).weights(others))
    assert np.ptp(expected) > 0
    np.testing.assert_allclose(Fit.of(told, pictures, weight)(said, others), weight * expected)
