"""Products that a recurrence repeats, whose weights get their gradient once for all steps.

A step t of a recurrence makes y_t = W x_t + b of its few rows. Left to autograd, each step back makes a
gradient as large as W and adds it to that of the steps after it, which takes longer than what a step with few
captions left has to reckon. Here a step back only leaves its rows and their gradients g_t, and one product
makes the sum over all steps of them:

    dL/dW = sum_t g_t^T x_t = G^T X,    dL/db = sum_t sum_rows g_t
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from capflow.models.shapes import multiple

Steps = dict[int, tuple[Tensor, Tensor]]
"""Rows of steps, [R, in], and the gradients of what was made of them, [R, out], by number."""


class Product:
    """x W^T + b, as often as it is asked for."""

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        """Begin a recurrence with a weight, [out, in], and a bias, [out], in the precision of products."""
        device = weight.device.type
        if torch.is_autocast_enabled(device):
            kind = torch.get_autocast_dtype(device)
            weight, bias = weight.to(kind), None if bias is None else bias.to(kind)
        self._count, self._steps = 0, Steps()
        self._weight: Tensor
        self._bias: Tensor | None
        self._weight, self._bias = (
            _Begin.apply(weight, bias, self._steps) if torch.is_grad_enabled() else (weight, bias)
        )

    def __call__(self, rows: Tensor) -> Tensor:
        """[R, out] from [R, in]."""
        rows = rows.to(self._weight.dtype)
        made: Tensor = _Step.apply(rows, self._weight, self._bias, self._steps, self._count)
        self._count += 1
        return made


class Repeated(nn.Linear):
    """A linear layer that is a :class:`Product` within :func:`repeating`."""

    _product: Product | None = None

    def forward(self, rows: Tensor) -> Tensor:
        """[R, out] from [R, in]."""
        return super().forward(rows) if self._product is None else self._product(rows)


@contextmanager
def repeating(module: nn.Module) -> Iterator[None]:
    """Within the block, each :class:`Repeated` layer of ``module`` is the same product in every step."""
    layers = [layer for layer in module.modules() if isinstance(layer, Repeated)]
    for layer in layers:
        layer._product = Product(layer.weight, layer.bias)
    try:
        yield
    finally:
        for layer in layers:
            layer._product = None


class _Begin(torch.autograd.Function):
    """Weights as the steps see them; going back, it comes after all of these."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, bias: Tensor | None, steps: Steps) -> tuple[Tensor, Tensor | None]:
        ctx.set_materialize_grads(False)
        ctx.steps, ctx.multiple = steps, multiple()
        return weight.view_as(weight), None if bias is None else bias.view_as(bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *_: Tensor | None) -> tuple[Tensor | None, Tensor | None, None]:
        if not ctx.steps:
            return None, None, None
        rows, found = (_filled(parts, ctx.multiple) for parts in zip(*ctx.steps.values(), strict=True))
        ctx.steps.clear()
        return (
            found.t() @ rows if ctx.needs_input_grad[0] else None,
            found.sum(0) if ctx.needs_input_grad[1] else None,
            None,
        )


class _Step(torch.autograd.Function):
    """One step; going back, it leaves its rows and their gradients to :class:`_Begin`."""

    @staticmethod
    def forward(
        ctx: Any, rows: Tensor, weight: Tensor, bias: Tensor | None, steps: Steps, number: int
    ) -> Tensor:
        ctx.save_for_backward(rows, weight)
        ctx.steps, ctx.number = steps, number
        return nn.functional.linear(rows, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, found: Tensor) -> tuple[Tensor | None, None, None, None, None]:
        rows, weight = ctx.saved_tensors
        if ctx.needs_input_grad[1] or ctx.needs_input_grad[2]:
            # By number: whoever asks for gradients of a graph twice counts no step twice. Detached: rows that
            # knew their graph, which knows these steps, would keep both for good.
            ctx.steps[ctx.number] = rows.detach(), found
        return found @ weight if ctx.needs_input_grad[0] else None, None, None, None, None


def _filled(parts: tuple[Tensor, ...], unit: int) -> Tensor:
    """All rows, and rows of 0 up to a multiple of ``unit``."""
    missing = -sum(map(len, parts)) % unit
    return torch.cat([*parts, parts[0].new_zeros(missing, parts[0].shape[1])])
