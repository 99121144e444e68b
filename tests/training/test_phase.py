"""Steps of the optimiser."""

import numpy as np
import pytest
import torch
from torch import Tensor

from capflow.data.batches import Batch
from capflow.models.captioner import DECODERS, Captioner
from capflow.training.cross_entropy import CrossEntropy
from capflow.training.phase import Phase
from tests.tiny import captioner, captions, train_params
from tests.training.stored import inputs


def batch(*chosen: int) -> Batch:
    """Some of the ten captions."""
    encoded, ids = captions()
    picked = np.array(chosen)
    rows, picture = np.unique(np.searchsorted(ids, encoded.images[picked]), return_inverse=True)
    return Batch(rows, torch.from_numpy(picture), torch.from_numpy(encoded.padded(picked)))


def gradient(model: Captioner, *batches: Batch) -> tuple[Tensor, Tensor]:
    """The figures of a step, and the gradient that it went by."""
    params = train_params()
    phase = Phase(model, CrossEntropy(model, inputs(), params), params, 0.01, 2, 3)
    figures = phase.update(batches)
    found = [weight.grad.flatten() for weight in model.parameters() if weight.grad is not None]
    return figures, torch.cat(found)


@pytest.mark.parametrize("name", DECODERS)
def test_parts_of_a_batch_have_its_gradient_together(name: str) -> None:
    # The penalty of attention is a mean over captions and not over words.
    decoder = {"name": name, "embedding": 16, "doubly_stochastic": 0.0}
    whole = gradient(captioner(decoder=decoder), batch(*range(10)))
    parts = gradient(captioner(decoder=decoder), batch(0, 1, 2), batch(3, 4, 5, 6, 7, 8, 9))
    for one, other in zip(whole, parts, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)
    assert whole[1].norm() > 0.01


def test_a_group_learns_at_its_own_rate() -> None:
    model, params = (
        captioner(encoder={"trainable": True}),
        train_params(
            encoder={"from_epoch": 1, "from_layer": "layers.12", "rate": 0.1},
            schedule={"name": "step", "warmup": 0.0, "every": 1, "factor": 0.5, "patience": 0},
        ),
    )
    phase = Phase(model, CrossEntropy(model, inputs(), params), params, 0.01, epochs=2, batches=1)
    rates = []
    for _ in range(2):
        phase.update([batch(0, 1)])
        rates.append([group["lr"] for group in phase.optimizer.param_groups])
    assert np.array(rates) == pytest.approx(np.array([[0.01, 0.01, 0.001, 0.001]] * 2) * [[1], [0.5]])


@pytest.mark.parametrize(("accumulate", "steps"), [(1, 3), (2, 2), (5, 1)])
def test_the_schedule_counts_steps_and_not_batches(accumulate: int, steps: int) -> None:
    params = train_params(
        accumulate=accumulate,
        schedule={"name": "step", "warmup": 0.0, "every": 1, "factor": 0.5, "patience": 0},
    )
    model = captioner()
    phase = Phase(model, CrossEntropy(model, inputs(), params), params, 0.01, epochs=2, batches=3)
    rates = []
    for _ in range(2 * steps):
        rates.append(phase.lr)
        phase.update([batch(0)])
    assert rates == [0.01] * steps + [0.005] * steps


def test_running_statistics_are_averaged_beside_the_weights_that_they_belong_to() -> None:
    model, params = captioner(decoder={"batch_norm": True}), train_params(ema=0.9)
    model.train()
    phase = Phase(model, CrossEntropy(model, inputs(), params), params, 0.01, 2, 3)
    for _ in range(3):
        phase.update([batch(*range(10))])
    learnt = {name: value.clone() for name, value in model.decoder.named_buffers()}
    with phase.average.in_place():
        averaged = {name: value.clone() for name, value in model.decoder.named_buffers()}
    for name in ("norm.running_mean", "norm.running_var"):
        assert not torch.allclose(averaged[name], learnt[name])
