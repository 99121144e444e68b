"""The network for small pictures."""

from itertools import product

import torch

from capflow.models.small import Pyramid


def test_cells_say_where_they_stand() -> None:
    torch.manual_seed(0)
    pyramid = Pyramid(8)
    with torch.no_grad():
        whole, *parts = pyramid(torch.ones(1, 8, 10, 12))[0, :, :, 0].T
        down, right = pyramid.place.weight.T
    torch.testing.assert_close(whole, torch.ones(8))
    for cell, (row, column) in zip(parts, product(range(4), range(5)), strict=True):
        place = (row / 3 * 4 - 2) * down + (column / 4 * 4 - 2) * right
        torch.testing.assert_close(cell, 1 + place)
