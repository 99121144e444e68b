"""Batch normalisation over batches that several processes share.

Each process has a part of the batch; means and variances are those of the whole, and so are their gradients:

    m = 1/n sum over processes and rows of x,    v = 1/n sum over processes and rows of (x - m)^2

PyTorch's ``SyncBatchNorm`` does this on GPUs alone.
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
    return _normalised(norm, sharing.processes, rows).to(values.dtype).view_as(values)


def _normalised(norm: _BatchNorm, processes: Processes, values: Tensor) -> Tensor:
    """Values [N, channels, ...] by the mean and the variance of all processes' ones."""
    values = values.float()
    places = [place for place in range(values.dim()) if place != 1]
    shape = [-1 if place == 1 else 1 for place in range(values.dim())]
    own = values.new_tensor([values.numel() / values.shape[1]])
    total = _total(torch.cat([values.sum(places), own]), processes)
    count, mean = total[-1].detach(), total[:-1] / total[-1].detach()
    apart = values - mean.view(shape)
    variance = _total(apart.square().sum(places), processes) / count
    _remember(norm, mean.detach(), variance.detach() * count / (count - 1))
    scaled = apart * (variance + norm.eps).rsqrt().view(shape)
    return scaled * norm.weight.view(shape) + norm.bias.view(shape)


@torch.no_grad()
def _remember(norm: _BatchNorm, mean: Tensor, variance: Tensor) -> None:
    """What evaluation goes by, as PyTorch's batch norms learn it."""
    share = norm.momentum or 0.0
    for kept, found in ((norm.running_mean, mean), (norm.running_var, variance)):
        if kept is not None:
            kept.lerp_(found, share)
    if norm.num_batches_tracked is not None:
        norm.num_batches_tracked.add_(1)


class _Total(torch.autograd.Function):
    """The sum over processes; what its sum is needed for on one process, all that were added learn from."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, processes: Processes) -> Tensor:
        ctx.processes = processes
        total = values.clone()
        processes.add(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        total = gradient.clone()
        ctx.processes.add(total)
        return total, None


def _total(values: Tensor, processes: Processes) -> Tensor:
    total: Tensor = _Total.apply(values, processes)
    return total
