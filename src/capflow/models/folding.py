"""Batch norms of a network that learns no more, made part of the convolutions before them.

In evaluation a batch norm is a scale and a shift of each channel, which the weights of a convolution can have
in themselves: with the running mean m and variance v, the weight g and the bias b of the norm,

    W' = W g / sqrt(v + eps),    c' = (c - m) g / sqrt(v + eps) + b

as torch.nn.utils.fusion has it. Each norm that is gone is one pass less over maps that are larger than a
processor's caches.
"""

from collections.abc import Iterator
from itertools import pairwise

from torch import nn
from torch.fx import GraphModule, Node
from torch.nn.utils.fusion import fuse_conv_bn_eval


def fold(network: nn.Module) -> None:
    """Fold the batch norms of a network in evaluation mode, which it must stay in.

    It gives the same as before but for rounding. Norms that are not right behind a convolution stay.
    """
    pairs = [*_in_rows(network), *(_in_graph(network) if isinstance(network, GraphModule) else ())]
    for first, second in pairs:
        convolution, norm = network.get_submodule(first), network.get_submodule(second)
        if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            network.set_submodule(first, fuse_conv_bn_eval(convolution, norm))
            network.set_submodule(second, nn.Identity())


def _in_rows(network: nn.Module) -> Iterator[tuple[str, str]]:
    """The names of layers that follow each other in a row that tracing leaves whole."""
    for name, row in network.named_modules():
        if isinstance(row, nn.Sequential):
            yield from pairwise(f"{name}.{layer}".removeprefix(".") for layer, _ in row.named_children())


def _in_graph(network: GraphModule) -> Iterator[tuple[str, str]]:
    """The names of layers of which one alone sees what the other gives."""
    for node in network.graph.nodes:
        before = node.args[0] if node.op == "call_module" else None
        if isinstance(before, Node) and before.op == "call_module" and len(before.users) == 1:
            yield str(before.target), str(node.target)
