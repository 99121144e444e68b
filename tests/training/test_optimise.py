"""Groups of the optimiser, and averaged weights."""

import pytest
import torch
from torch import nn

from capflow.models.captioner import DECODERS
from capflow.training.optimise import Average, groups
from tests.tiny import captioner, train_params


@pytest.mark.parametrize("name", DECODERS)
@pytest.mark.parametrize("tied", [False, True])
def test_each_weight_is_in_one_group_and_only_those_that_multiply_decay(name: str, tied: bool) -> None:
    sizes = {"embedding": 16, "hidden": 16}
    decoder = {"name": name, "batch_norm": True, "tied": tied} | sizes
    model = captioner(encoder={"trainable": True}, decoder=decoder)
    found = groups(model, train_params(weight_decay=0.1, encoder=encoder_params(rate=0.25)))
    grouped = [id(weight) for group in found for weight in group["params"]]
    assert sorted(grouped) == sorted(id(weight) for weight in model.parameters())
    assert [(group["weight_decay"], group["rate"]) for group in found] == [
        (0.1, 1.0),
        (0.0, 1.0),
        (0.1, 0.25),
        (0.0, 0.25),
    ]
    names = {id(weight): name for name, weight in model.named_parameters()}
    decayed = {names[id(weight)] for group in found for weight in group["params"] if group["weight_decay"]}
    vectors = {"decoder.embed.weight", "decoder.vocabulary.weight" if tied else "", "decoder.position"}
    assert decayed == {
        name for name, weight in model.named_parameters() if weight.dim() > 1 and name not in vectors
    }
    assert not any("norm" in name or "bias" in name for name in decayed)


def encoder_params(**changes: object) -> dict[str, object]:
    return {"from_epoch": 1, "from_layer": "all", "rate": 1.0} | changes


def test_a_frozen_encoder_is_in_no_group() -> None:
    model = captioner()
    grouped = {id(weight) for group in groups(model, train_params()) for weight in group["params"]}
    assert grouped == {id(weight) for weight in model.decoder.parameters()}


def test_the_average_is_its_formula() -> None:
    model, decay = nn.BatchNorm1d(2), 0.6
    values = [torch.tensor([float(step), -2.0 * step]) for step in range(30)]
    average = Average([*model.parameters(), *model.buffers()], decay)
    expected = model.weight.detach().clone()
    for step, value in enumerate(values, 1):
        with torch.no_grad():
            for tensor in (model.weight, model.running_mean):
                assert tensor is not None
                tensor.copy_(value)
        average.update()
        share = min(decay, step / (step + 9))
        expected = share * expected + (1 - share) * value
    assert model.running_mean is not None
    with average.in_place():
        torch.testing.assert_close(model.weight.detach(), expected)
        # What began with 0 is another value, but it has forgotten that by now.
        torch.testing.assert_close(model.running_mean, expected)
    assert torch.equal(model.weight.detach(), values[-1])
    assert torch.equal(model.running_mean, values[-1])


def test_without_decay_weights_stay_in_place() -> None:
    model = nn.Linear(2, 2)
    average = Average(model.parameters(), 0.0)
    before = model.weight.detach().clone()
    with torch.no_grad():
        model.weight.add_(1)
    average.update()
    with average.in_place():
        assert torch.equal(model.weight.detach(), before + 1)
