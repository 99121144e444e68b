"""What training pictures tell about how well captions fit others."""

from pathlib import Path

import numpy as np
import pytest
import torch

from capflow import interruption
from capflow.evaluation.expectation import Expectation
from capflow.evaluation.ngrams import Captions
from capflow.models.inputs import EncodedPixels, Views
from capflow.models.lookalikes import Lookalikes, whole
from capflow.params import load_params
from capflow.processes import ALONE, Processes
from capflow.training.fit import Fit, look
from capflow.training.history import Unrecorded
from capflow.training.self_critical import Rewards, SelfCritical
from stages import train
from tests.faults.trainings import lay_out
from tests.tiny import CPU, VOCABULARY, captioner, pixels

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


def test_captions_fit_as_well_as_they_are_expected() -> None:
    random, generator = np.random.default_rng(0), torch.Generator().manual_seed(0)
    told = Captions(random.integers(4, 12, 120), np.full(24, 5), np.arange(24) // 2)
    pictures, others = torch.randn(12, 6, generator=generator), torch.randn(4, 6, generator=generator)
    said = random.integers(4, 12, (4, 3, 5))
    expected = Expectation(told)(said, Lookalikes(pictures).weights(others))
    assert np.ptp(expected) > 0
    np.testing.assert_array_equal(Fit.of(told, pictures)(said, others), expected)


@pytest.mark.parametrize(("epochs", "weight", "asked"), [(1, 2.0, True), (0, 2.0, False), (1, 0.0, False)])
def test_training_looks_at_pictures_with_the_encoder_it_begins_with(
    epochs: int, weight: float, asked: bool, record: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rewarded = {"epochs": epochs, "lr": 0.001, "samples": 2, "bleu": 0.0, "lookalikes": weight}
    lay_out(tmp_path, record, self_critical=rewarded)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    chosen = load_params()
    model = train.build_model(chosen, VOCABULARY)
    before = {name: weights.clone() for name, weights in model.state_dict().items()}
    with interruption.heeded() as stops:
        wholes = train.look_at_wholes(chosen, model, 5, stops, ALONE)
    assert all(torch.equal(weights, before[name]) for name, weights in model.state_dict().items())
    assert (wholes is not None) == asked
    if wholes is not None:
        with torch.inference_mode():
            seen = EncodedPixels(pixels(5), model.eval(), CPU)(np.arange(5))
        torch.testing.assert_close(wholes, whole([seen]))


def test_training_rewards_what_look_alike_let_expect(
    record: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_out(tmp_path, record)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    chosen = load_params()
    model = train.build_model(chosen, VOCABULARY)
    with interruption.heeded() as stops:
        trainer = train.build_trainer(chosen, model, VOCABULARY, Unrecorded(), stops, ALONE)
    trainer.begin_self_critical()
    assert isinstance(trainer.phase.objective, SelfCritical)
    said, rows = np.random.default_rng(0).integers(4, len(VOCABULARY), (5, 3, 5)), np.arange(5)
    wholes = whole([EncodedPixels(pixels(5), model.eval(), CPU)(rows).detach()])
    asked = chosen.train.self_critical
    alone, fitting = (Rewards(trainer.train.batches, asked, seen)(rows, said) for seen in (None, wholes))
    np.testing.assert_allclose(trainer.phase.objective._rewards(rows, said), fitting, rtol=0, atol=1e-4)
    assert np.abs(fitting - alone).max() > 0.1
