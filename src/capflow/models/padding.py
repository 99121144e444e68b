"""Convolutions that pad as TensorFlow does, for weights that were trained there.

With stride 2, TensorFlow's padding "SAME" adds what is missing below and to the right first, (0, 1), where
PyTorch's networks add as much on either side, (1, 1): every such layer sees the picture one pixel off, and
classifiers lose much of what they know. With stride 1 the two are the same.
"""

from typing import cast

from torch import Tensor, nn


class TensorFlowConv2d(nn.Conv2d):
    """A convolution with TensorFlow's padding: ceil(size / stride) cells on each axis."""

    def forward(self, images: Tensor) -> Tensor:
        """Images [N, C, H, W] to [N, C', ceil(H / stride), ceil(W / stride)]."""
        sides = [self._missing(axis, images.shape[2 + axis]) for axis in (1, 0)]  # the last axis comes first
        padding = [part for missing in sides for part in (missing // 2, missing - missing // 2)]
        padded = nn.functional.pad(images, padding)
        return cast("Tensor", self._conv_forward(padded, self.weight, self.bias))

    def _missing(self, axis: int, size: int) -> int:
        kernel = self.dilation[axis] * (self.kernel_size[axis] - 1) + 1
        stride = self.stride[axis]
        return max(kernel - (size % stride or stride), 0)


def pad_like_tensorflow(network: nn.Module) -> None:
    """Exchange the convolutions of a network that take strides; weights keep their names."""
    for parent in [*network.modules()]:
        for name, layer in parent.named_children():
            if type(layer) is nn.Conv2d and max(layer.stride) > 1:
                setattr(parent, name, _alike(layer))


def _alike(layer: nn.Conv2d) -> TensorFlowConv2d:
    return TensorFlowConv2d(
        layer.in_channels,
        layer.out_channels,
        layer.kernel_size,  # type: ignore[arg-type]
        layer.stride,  # type: ignore[arg-type]
        padding=0,
        dilation=layer.dilation,  # type: ignore[arg-type]
        groups=layer.groups,
        bias=layer.bias is not None,
    )
