"""Random parts of pictures."""

import numpy as np
import pytest
import torch
from PIL import Image

from capflow.models.crops import StoredViews, resized_parts
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
