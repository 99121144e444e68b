"""Batch normalisation over batches that several processes share.

Each process has a part of the batch; means and variances are those of the whole, and so are their gradients:

    m = 1/n sum over processes and rows of x,    v = 1/n sum over processes and rows of (x - m)^2
    y = w z + b,    z = (x - m) (v + eps)^-0.5
    dx = w (v + eps)^-0.5 (dy - 1/n sum of dy - z/n sum of dy z)

That is one message each way (Ioffe, Szegedy: Batch Normalization, ICML 2015). PyTorch's ``SyncBatchNorm``
does this on GPUs alone; here its own kernels do the rest on any device.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from capflow.models.standardise import Standardise
from capflow.processes import Processes


class Sharing:
    """Whether the batch that comes next is shared; if not, each process has the whole of it."""

    def __init__(self, model: nn.Module, processes: Processes) -> None:
        """Let the batch norms of a model that learns see whole batches."""
        self.processes, self.wanted = processes, False
        norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
        for norm in norms if processes.count > 1 else []:
            vars(norm)["forward"] = partial(_forward, norm, norm.forward, self)


def _forward(norm: _BatchNorm, usual: Callable[[Tensor], Tensor], sharing: Sharing, values: Tensor) -> Tensor:
    if not (norm.training and sharing.wanted):
        return usual(values)
    rows = values.flatten(0, -2) if isinstance(norm, Standardise) else values
    seen: Tensor = _Normalised.apply(rows.float(), norm.weight, norm.bias, norm, sharing.processes)
    # A layer that works in place, on a view, would lose the order of channels that convolutions are fast in.
    return (seen.view_as(values) if rows is not values else seen).to(values.dtype)


class _Normalised(torch.autograd.Function):
    """Values [N, channels, ...] by the mean and the variance of all processes' ones."""

    @staticmethod
    def forward(
        ctx: Any, values: Tensor, weight: Tensor, bias: Tensor, norm: _BatchNorm, processes: Processes
    ) -> Tensor:
        count, mean, variance = _moments(values, processes)
        _remember(norm, mean, variance * count / (count - 1))
        ctx.save_for_backward(values, weight, mean, variance)
        ctx.count, ctx.eps, ctx.processes = count, norm.eps, processes
        return nn.functional.batch_norm(values, mean, variance, weight, bias, eps=norm.eps)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        values, weight, mean, variance = ctx.saved_tensors
        _, by_weight, by_bias = torch.ops.aten.native_batch_norm_backward(
            gradient, values, weight, mean, variance, None, None, False, ctx.eps, [False, True, True]
        )
        along, all_over = by_weight.clone(), by_bias.clone()
        ctx.processes.add(along, all_over)
        shape = [-1 if place == 1 else 1 for place in range(values.dim())]
        scale = (variance + ctx.eps).rsqrt()
        slope = (-scale * along / ctx.count).view(shape)
        found = gradient - (all_over / ctx.count).view(shape)
        found.addcmul_(values - mean.view(shape), slope).mul_((weight * scale).view(shape))
        return found, by_weight, by_bias, None, None


def _moments(values: Tensor, processes: Processes) -> tuple[Tensor, Tensor, Tensor]:
    """The rows of all processes, their mean and their variance; sums of squares want double precision."""
    mean, variance = (found.double() for found in torch.batch_norm_update_stats(values, None, None, 0.0))
    rows = mean.new_tensor([values.numel() / values.shape[1]])
    sums, squares = rows * mean, rows * (variance + mean.square())
    processes.add(rows, sums, squares)
    mean = sums / rows
    return rows.float(), mean.float(), (squares / rows - mean.square()).float()


def _remember(norm: _BatchNorm, mean: Tensor, variance: Tensor) -> None:
    """What evaluation goes by, as PyTorch's batch norms learn it."""
    share = norm.momentum or 0.0
    for kept, found in ((norm.running_mean, mean), (norm.running_var, variance)):
        if kept is not None:
            kept.lerp_(found, share)
    if norm.num_batches_tracked is not None:
        norm.num_batches_tracked.add_(1)
