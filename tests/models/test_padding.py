"""TensorFlow's padding: its definition, cell by cell, and in a whole network."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from capflow.models.encoder import Encoder
from capflow.models.padding import TensorFlowConv2d, pad_like_tensorflow
from capflow.params import EncoderParams


def by_definition(row: Tensor, kernel: Tensor, stride: int, dilation: int) -> Tensor:
    """One row through one kernel, with TensorFlow's "SAME" as its documentation defines it."""
    size, reach = len(row), (len(kernel) - 1) * dilation + 1
    outputs = -(-size // stride)
    missing = max((outputs - 1) * stride + reach - size, 0)
    before = missing // 2
    cells = []
    for output in range(outputs):
        places = [output * stride - before + tap * dilation for tap in range(len(kernel))]
        taps = zip(places, kernel, strict=True)
        cells.append(sum((row[place] * tap for place, tap in taps if 0 <= place < size), torch.zeros(())))
    return torch.stack(cells)


@given(
    size=st.integers(1, 17),
    kernel=st.integers(1, 7),
    stride=st.integers(1, 4),
    dilation=st.integers(1, 3),
    across=st.booleans(),
)
def test_it_is_what_tensorflow_defines(
    size: int, kernel: int, stride: int, dilation: int, across: bool
) -> None:
    generator = torch.Generator().manual_seed(0)
    row, taps = torch.randn(size, generator=generator), torch.randn(kernel, generator=generator)

    def along(length: int) -> tuple[int, int]:
        return (1, length) if across else (length, 1)

    layer = TensorFlowConv2d(1, 1, along(kernel), along(stride), dilation=along(dilation), bias=False)
    with torch.no_grad():
        layer.weight.copy_(taps.view_as(layer.weight))
        found = layer(row.view(1, 1, *along(size)))
    torch.testing.assert_close(found.flatten(), by_definition(row, taps, stride, dilation))


def test_only_convolutions_with_strides_are_exchanged() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3, 1, 1), nn.Sequential(nn.Conv2d(4, 4, 3, 2, 1, groups=4)))
    names = list(network.state_dict())
    pad_like_tensorflow(network)
    assert [type(layer) for layer in (network[0], network[1][0])] == [nn.Conv2d, TensorFlowConv2d]  # type: ignore[index]
    assert list(network.state_dict()) == names
    assert network(torch.zeros(1, 3, 7, 8)).shape == (1, 4, 4, 4)


@pytest.mark.parametrize(("side", "differs"), [(128, True), (97, False)])
def test_it_tells_where_maps_have_even_sides(side: int, differs: bool) -> None:
    """97, 49, 25, 13, 7: with odd sides, what is missing is the same on either side."""
    torch.manual_seed(0)
    usual, other = (
        Encoder(
            EncoderParams(
                name="mobilenet_v2",
                weights="none",
                padding=padding,
                trainable=False,
                features="grid",
                mirrored=False,
                crops=0,
            )
        ).eval()
        for padding in ("torch", "tensorflow")
    )
    other.backbone.load_state_dict(usual.backbone.state_dict())
    pixels = torch.randint(0, 256, (1, side, side, 3), dtype=torch.uint8)
    with torch.no_grad():
        one, two = usual(pixels), other(pixels)
    assert one.shape == two.shape
    assert bool((one - two).norm() > 0.1 * one.norm()) is differs
