"""Captions beside those of their picture: each has a place, and gets what belongs to it."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from capflow.models.grouping import Grid, group

PICTURES = st.lists(st.integers(0, 6), min_size=1, max_size=30)


@given(PICTURES)
def test_each_caption_has_a_place_of_its_own_in_a_group_of_its_picture(pictures: list[int]) -> None:
    picture = torch.tensor(pictures)
    groups = group(picture)
    assert torch.equal(groups.picture[groups.place // groups.width], picture)
    assert len(set(groups.place.tolist())) == len(pictures)


@given(PICTURES)
@settings(max_examples=30)
def test_the_first_captions_stand_in_the_first_groups(pictures: list[int]) -> None:
    groups = group(torch.tensor(pictures))
    for count, reach in enumerate(groups.reach, 1):
        assert set((groups.place[:count] // groups.width).tolist()) == set(range(reach))
    assert groups.reach[-1] == len(groups.picture)


def test_whole_pictures_make_a_group_each() -> None:
    groups = group(torch.arange(4).repeat_interleave(5))
    assert groups.width == 5
    assert groups.picture.tolist() == [0, 1, 2, 3]
    assert groups.place.tolist() == list(range(20))


@given(PICTURES)
def test_what_is_spread_can_be_collected(pictures: list[int]) -> None:
    groups = group(torch.tensor(pictures))
    rows = torch.randn(len(pictures), 3)
    grid = Grid(len(groups.picture), groups.width, groups.place)
    assert torch.equal(grid.collect(grid.spread(rows)), rows)
    assert torch.isclose(grid.spread(rows).sum(), rows.sum(), atol=1e-4)


def test_a_picture_with_many_captions_makes_no_room_for_as_many_of_each_other() -> None:
    groups = group(torch.tensor([0] * 20 + [1, 2, 3, 4, 5]))
    assert groups.width == 4
    assert groups.picture.tolist() == [0, 0, 0, 0, 0, 1, 2, 3, 4, 5]
