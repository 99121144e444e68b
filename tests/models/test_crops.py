"""Random parts of pictures."""

import numpy as np
import pytest
import torch
from PIL import Image

from capflow.models.crops import StoredViews, random_boxes, resized_parts
from tests.tiny import SIDE, params, pixels

COUNT = 6


def test_a_part_of_all_is_the_picture_itself() -> None:
    everything = torch.tensor([[0, 0, SIDE, SIDE]]).expand(COUNT, 4)
    whole = torch.from_numpy(pixels(COUNT))
    assert torch.equal(resized_parts(whole, everything, SIDE), whole)


def test_parts_are_resized_as_pillow_does() -> None:
    picture = pixels(1)
    part = resized_parts(torch.from_numpy(picture), torch.tensor([[8, 3, 8, 20]]), SIDE)[0].numpy()
    peer = Image.fromarray(picture[0]).crop((3, 8, 23, 16)).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    assert np.abs(part.astype(int) - np.asarray(peer).astype(int)).max() <= 1


def test_boxes_have_all_sizes_and_shapes_and_lie_inside() -> None:
    size, area = 1000, 0.3
    top, left, height, width = random_boxes(4000, size, area, torch.Generator().manual_seed(1)).T
    assert min(int(top.min()), int(left.min())) >= 0
    assert max(int((top + height).max()), int((left + width).max())) <= size
    share, shape = height * width / size**2, (width / height).log()
    assert area - 0.01 < share.min() < area + 0.01
    assert share.max() > 0.95
    assert abs(share.mean() - (1 + area) / 2) < 0.05
    assert np.log(4 / 3) - 0.01 < shape.max() < np.log(4 / 3) + 0.01
    assert -np.log(4 / 3) - 0.01 < shape.min() < -np.log(4 / 3) + 0.01
    assert abs(shape.mean()) < 0.01
    rest = top[height < size] / (size - height)[height < size]
    assert abs(rest.mean() - 0.5) < 0.02


def views(*, mirrored: bool, crops: int, seed: int = 1) -> StoredViews:
    encoder = params(encoder={"mirrored": mirrored, "crops": crops}).encoder
    return StoredViews(encoder, COUNT, SIDE, seed)


@pytest.mark.parametrize("mirrored", [False, True])
def test_stored_views_are_the_picture_its_mirror_image_and_crops(mirrored: bool) -> None:
    whole = torch.from_numpy(pixels(COUNT))
    seen = views(mirrored=mirrored, crops=3)(whole, 0)
    assert len(seen) == 4 + mirrored
    assert torch.equal(seen[0], whole)
    assert not mirrored or torch.equal(seen[1], whole.flip(2))
    crops = seen[1 + mirrored :]
    assert all(crop.shape == whole.shape for crop in crops)
    assert all(not torch.equal(crop[0], whole[0]) for crop in crops)
    plain = views(mirrored=False, crops=3)(whole, 0)[1:]
    assert torch.equal(crops[0], plain[0])
    assert torch.equal(crops[1], plain[1].flip(2) if mirrored else plain[1])


def test_a_crop_depends_on_the_seed_and_the_row_alone() -> None:
    whole = torch.from_numpy(pixels(COUNT))
    at_once = views(mirrored=True, crops=2)(whole, 0)
    in_parts = [views(mirrored=True, crops=2)(whole[start : start + 2], start) for start in (0, 2, 4)]
    for number, view in enumerate(at_once):
        assert torch.equal(view, torch.cat([part[number] for part in in_parts]))
    other = views(mirrored=True, crops=2, seed=2)(whole, 0)
    assert not torch.equal(other[2], at_once[2])
