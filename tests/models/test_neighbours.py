"""Which training pictures look most like others."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from capflow.errors import CapflowError
from capflow.models.neighbours import Neighbours


def directions(pictures: torch.Tensor, of: torch.Tensor) -> NDArray[np.float64]:
    """Standardised by the training pictures, and of length one."""
    rows: NDArray[np.float64] = pictures.double().numpy() - of.double().numpy().mean(0)
    rows /= np.maximum(of.double().numpy().std(0), 1e-12)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


@given(st.integers(3, 30), st.integers(4, 8), st.integers(0, 2**31), st.data())
def test_they_are_those_of_the_greatest_cosine(
    known: int, channels: int, seed: int, data: st.DataObject
) -> None:
    generator = torch.Generator().manual_seed(seed)
    # Channels of very different sizes count alike.
    sizes = 10.0 ** torch.arange(channels)
    train = torch.randn(known, channels, generator=generator) * sizes + 5
    others = torch.randn(4, channels, generator=generator) * sizes + 5
    likeness = directions(others, train) @ directions(train, train).T
    assume(likeness.max() < 0.999)
    count = data.draw(st.integers(1, known - 1))
    found = Neighbours(train).nearest(others, count)
    for picture, near in zip(likeness, found, strict=True):
        assert len(set(near)) == count
        np.testing.assert_allclose(picture[near], np.sort(picture)[::-1][:count], rtol=0, atol=1e-5)


def test_a_picture_is_no_neighbour_of_itself() -> None:
    train = torch.randn(50, 12, generator=torch.Generator().manual_seed(0))
    rounded = train + 1e-3 * torch.randn(50, 12, generator=torch.Generator().manual_seed(1))
    for seen in (train, rounded):
        found = Neighbours(train).nearest(seen, 10)
        assert not (found == np.arange(50)[:, None]).any()
    assert (Neighbours(train).nearest(train + 0.2, 1) == np.arange(50)[:, None]).any()


def test_what_is_the_same_in_all_training_pictures_but_for_rounding_tells_nothing() -> None:
    generator = torch.Generator().manual_seed(0)
    train, others = torch.randn(20, 6, generator=generator), torch.randn(5, 6, generator=generator)
    rounding = 10 + 1e-5 * torch.randn(25, 30, generator=generator)
    wanted = Neighbours(train).nearest(others, 4)
    known = Neighbours(torch.cat([train, rounding[:20]], 1))
    assert (known.nearest(torch.cat([others, rounding[20:]], 1), 4) == wanted).all()
    again = torch.cat([train, rounding[:20] + 1e-5], 1)
    assert not (known.nearest(again, 4) == np.arange(20)[:, None]).any()


@pytest.mark.parametrize(("copies", "count", "fewest"), [(10, 3, 2), (2, 11, 10)])
def test_where_copies_leave_too_few_others_it_is_told(copies: int, count: int, fewest: int) -> None:
    alone = torch.randn(12, 6, generator=torch.Generator().manual_seed(0))
    same = alone[:1].expand(copies, 6) if copies > 2 else alone[:6]
    train = torch.cat([same, alone[1:3]]) if copies > 2 else torch.cat([same, same])
    assert Neighbours(train).nearest(train, fewest).shape == (len(train), fewest)
    with pytest.raises(CapflowError, match=rf"^generate.neighbours \({count}\): a picture has {fewest} "):
        Neighbours(train).nearest(train, count)


def test_pictures_that_all_look_the_same_have_no_neighbours() -> None:
    with pytest.raises(CapflowError, match="has 0 training pictures that are others"):
        Neighbours(torch.full((10, 4), 0.1)).nearest(torch.full((1, 4), 0.1), 1)


@pytest.mark.parametrize("wrong", [torch.nan, torch.inf])
def test_what_is_no_number_is_told(wrong: float) -> None:
    train = torch.randn(10, 4)
    train[3, 2] = wrong
    with pytest.raises(CapflowError, match="holds infinities or NaN"):
        Neighbours(train)
