"""Dropout: its share, its size, its gradient, and that seeds fix it."""

import pytest
import torch

from capflow.models.dropout import Dropout


@pytest.mark.parametrize("share", [0.1, 0.5, 0.75])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_it_drops_the_share_and_keeps_the_mean(share: float, kind: torch.dtype) -> None:
    torch.manual_seed(0)
    dropped = Dropout(share)(torch.ones(1000, 333, dtype=kind))
    assert dropped.dtype == kind
    larger = torch.tensor(1 / (1 - round(share * 65536) / 65536), dtype=kind).item()
    assert set(dropped.unique().tolist()) == {0.0, larger}
    # Five standard deviations of the share of 333,000 draws.
    assert (dropped == 0).float().mean().item() == pytest.approx(share, abs=5 * (0.25 / 333_000) ** 0.5)


def test_places_do_not_depend_on_each_other() -> None:
    torch.manual_seed(0)
    kept = (Dropout(0.5)(torch.ones(400_000)) > 0).float() - 0.5
    for distance in (1, 2, 3, 4, 8, 64):
        together = (kept[distance:] * kept[:-distance]).mean().item() * 4
        assert abs(together) < 5 / 400_000**0.5


def test_gradients_go_where_values_went() -> None:
    torch.manual_seed(0)
    values = torch.randn(50, 7, requires_grad=True)
    dropped = Dropout(0.5)(values)
    dropped.sum().backward()
    assert values.grad is not None
    torch.testing.assert_close(values.grad * values, dropped)


def test_seeds_fix_it_and_evaluation_leaves_all() -> None:
    values, layer = torch.randn(9, 5), Dropout(0.5)
    torch.manual_seed(3)
    first, second = layer(values), layer(values)
    torch.manual_seed(3)
    assert torch.equal(layer(values), first)
    assert not torch.equal(first, second)
    assert layer.eval()(values) is values
    assert Dropout(0.0)(values) is values


def test_a_share_next_to_all_keeps_next_to_nothing() -> None:
    torch.manual_seed(0)
    dropped = Dropout(1 - 1e-9)(torch.ones(100_000))
    assert (dropped > 0).sum() < 20
    assert set(dropped.unique().tolist()) <= {0.0, float(1 << 16)}
    assert torch.equal(Dropout(1.0)(torch.ones(9)), torch.zeros(9))
