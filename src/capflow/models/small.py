"""A network for small pictures that are learnt from nothing, such as the generated scenes."""

import torch
from torch import Tensor, nn

# With 1, relations were learnt late, with 3 shapes: places must be neither drowned nor drown what is there.
_FAR = 2.0


class Pyramid(nn.Module):
    """A pyramid of maxima (He et al.: Spatial Pyramid Pooling, ECCV 2014) that knows its places.

    One cell has the whole picture, so that *what* is there is learnt wherever it stands; overlapping
    ones (3 x 3 of 64 pixels) have *where*. To each of these a linear function of its place is added, or
    attention, which sums cells, could hardly tell left from right (after Liu et al.: An Intriguing
    Failing of Convolutional Neural Networks and the CoordConv Solution, NeurIPS 2018).
    """

    def __init__(self, channels: int) -> None:
        """Build it for maps of so many channels."""
        super().__init__()
        self.place = nn.Linear(2, channels, bias=False)

    def forward(self, grid: Tensor) -> Tensor:
        """A map [N, channels, H, W] to cells [N, channels, cells, 1]; H and W are at least 4."""
        whole = grid.amax((2, 3))[:, :, None]
        parts = nn.functional.max_pool2d(grid, kernel_size=4, stride=2)
        parts = parts + self._places(*parts.shape[2:])
        return torch.cat([whole, parts.flatten(2)], 2)[..., None]

    def _places(self, rows: int, columns: int) -> Tensor:
        """What is added to the cells, [channels, rows, columns], of coordinates between -2 and 2."""
        weight = self.place.weight
        down, right = (torch.linspace(-_FAR, _FAR, side, device=weight.device) for side in (rows, columns))
        places: Tensor = self.place(torch.stack(torch.meshgrid(down, right, indexing="ij"), -1))
        return places.permute(2, 0, 1)


class SmallNet(nn.Module):
    """Five convolutions and a :class:`Pyramid`."""

    channels = 128

    def __init__(self) -> None:
        """Build the layers."""
        super().__init__()
        widths = (3, 32, 64, 96, 128, self.channels)
        layers: list[nn.Module] = []
        for block, stride in enumerate((2, 2, 1, 2, 1)):
            inside, outside = widths[block], widths[block + 1]
            layers += [nn.Conv2d(inside, outside, 3, stride, padding=1, bias=False), nn.BatchNorm2d(outside)]
            layers.append(nn.ReLU(inplace=True))
        self.layers = nn.Sequential(*layers, Pyramid(self.channels))

    def forward(self, images: Tensor) -> Tensor:
        """Images [N, 3, H, W] to cells [N, channels, cells, 1]; H and W are at least 25."""
        cells: Tensor = self.layers(images)
        return cells
