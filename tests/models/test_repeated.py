"""A product that is repeated is the linear layer, and so are its gradients, which are made once."""

import gc
import weakref

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from capflow.models import repeated
from capflow.models.repeated import Product, Repeated, repeating
from capflow.training.cross_entropy import caption_loss
from tests.decoders import PICTURE, decoder, example

Sizes = st.lists(st.integers(1, 9), min_size=1, max_size=6).map(lambda sizes: sorted(sizes, reverse=True))


def recurrence(layer: nn.Module, start: Tensor, sizes: list[int]) -> Tensor:
    """A sum over the states h_t = tanh(W h_t-1 + b) of fewer and fewer rows."""
    state, total = start, start.new_zeros(())
    for size in sizes:
        state = layer(state[:size]).tanh()
        total = total + state.square().sum()
    return total


@given(Sizes, st.booleans(), st.integers(0, 1000))
@settings(max_examples=50, deadline=None)
def test_equals_a_linear_layer_its_gradients_too(sizes: list[int], bias: bool, seed: int) -> None:
    torch.manual_seed(seed)
    layer = Repeated(5, 5, bias=bias).double()
    start = torch.randn(sizes[0], 5, dtype=torch.double, requires_grad=True)
    asked = [start, *layer.parameters()]
    with repeating(layer):
        once = recurrence(layer, start, sizes)
    plain = recurrence(layer, start, sizes)
    torch.testing.assert_close(once, plain)
    for ours, theirs in zip(torch.autograd.grad(once, asked), torch.autograd.grad(plain, asked), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_gradients_can_be_asked_for_twice() -> None:
    layer, start = Repeated(3, 3), torch.randn(4, 3)
    with repeating(layer):
        total = recurrence(layer, start, [4, 2])
    asked = list(layer.parameters())
    first = torch.autograd.grad(total, asked, retain_graph=True)
    for one, other in zip(first, torch.autograd.grad(total, asked), strict=True):
        assert torch.equal(one, other)


def test_gradients_of_inputs_first_count_no_step_twice() -> None:
    layer, start = Repeated(3, 3), torch.randn(4, 3, requires_grad=True)
    with repeating(layer):
        total = recurrence(layer, start, [4, 2])
    torch.autograd.grad(total, [start], retain_graph=True)
    asked = list(layer.parameters())
    ours = torch.autograd.grad(total, asked)
    for one, other in zip(ours, torch.autograd.grad(recurrence(layer, start, [4, 2]), asked), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("learns", [True, False])
def test_nothing_stays_of_a_graph_that_is_gone(learns: bool) -> None:
    """Whether its weights learn or not, and where nobody has asked for their gradients."""
    layer, start = Repeated(3, 3), torch.randn(4, 3, requires_grad=True)
    layer.requires_grad_(learns)
    with repeating(layer):
        middle = layer(start).tanh()
        total = layer(middle).sum()
    gone = weakref.ref(middle)
    torch.autograd.grad(total, [start])
    del middle, total
    gc.collect()
    assert gone() is None


def test_what_does_not_learn_gets_no_gradient() -> None:
    layer, start = Repeated(3, 3), torch.randn(4, 3, requires_grad=True)
    layer.weight.requires_grad = False
    with repeating(layer):
        recurrence(layer, start, [4, 2]).backward()  # type: ignore[no-untyped-call]
    assert layer.weight.grad is None
    assert layer.bias.grad is not None
    assert start.grad is not None


def test_a_product_that_nothing_depends_on_has_no_gradient() -> None:
    weight, start = torch.randn(3, 3, requires_grad=True), torch.randn(2, 3, requires_grad=True)
    product = Product(weight)
    product(start)
    (start.sum() + product(start).detach().sum()).backward()  # type: ignore[no-untyped-call]
    assert weight.grad is None


def test_is_a_plain_layer_again_after_the_recurrence_however_that_ends() -> None:
    layer = Repeated(3, 3)
    with pytest.raises(ZeroDivisionError), repeating(layer):
        _ = 1 / 0
    assert layer(torch.ones(1, 3)).grad_fn.name() == nn.Linear(3, 3)(torch.ones(1, 3)).grad_fn.name()


def test_keeps_the_precision_of_products() -> None:
    weight, rows = torch.randn(64, 64, requires_grad=True), torch.randn(9, 64)
    with torch.autocast("cpu", torch.bfloat16):
        product = Product(weight)
        made = product(rows)
        assert made.dtype == torch.bfloat16
        assert torch.equal(made, nn.functional.linear(rows, weight))
    made.float().sum().backward()  # type: ignore[no-untyped-call]
    assert weight.grad is not None
    torch.testing.assert_close(
        weight.grad, rows.bfloat16().float().sum(0).expand(64, -1), rtol=0.01, atol=0.05
    )


@pytest.mark.parametrize(("kind", "layers"), [("attention", 4), ("updown", 4), ("lstm", 1)])
def test_each_weight_of_a_recurrence_gets_its_gradient_by_one_product(
    kind: str, layers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, filled = [], repeated._filled

    def counted(parts: tuple[Tensor, ...], multiple: int) -> Tensor:
        made.append(parts)
        return filled(parts, multiple)

    monkeypatch.setattr(repeated, "_filled", counted)
    features, tokens = example()
    caption_loss(decoder(kind), features, PICTURE, tokens).backward()  # type: ignore[no-untyped-call]
    assert len(made) == 2 * layers  # rows, and their gradients
