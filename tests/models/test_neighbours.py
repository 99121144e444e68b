"""Which training pictures look most like others."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from capflow.models.neighbours import Neighbours


def directions(pictures: torch.Tensor, of: torch.Tensor) -> NDArray[np.float64]:
    """Standardised by the training pictures, and of length one."""
    rows: NDArray[np.float64] = pictures.double().numpy() - of.double().numpy().mean(0)
    rows /= np.maximum(of.double().numpy().std(0), 1e-12)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


@given(st.integers(3, 30), st.integers(2, 8), st.integers(0, 2**31), st.data())
def test_they_are_those_of_the_greatest_cosine(
    known: int, channels: int, seed: int, data: st.DataObject
) -> None:
    generator = torch.Generator().manual_seed(seed)
    # Channels of very different sizes count alike.
    sizes = 10.0 ** torch.arange(channels)
    train = torch.randn(known, channels, generator=generator) * sizes + 5
    others = torch.randn(4, channels, generator=generator) * sizes + 5
    likeness = directions(others, train) @ directions(train, train).T
    count = data.draw(st.integers(1, known - 1))
    found = Neighbours(train).nearest(others, count)
    for picture, near in zip(likeness, found, strict=True):
        assert len(set(near)) == count
        allowed = np.where(picture > 0.999, -1.0, picture)
        np.testing.assert_allclose(allowed[near], np.sort(allowed)[::-1][:count], rtol=0, atol=1e-5)


def test_a_picture_is_no_neighbour_of_itself() -> None:
    train = torch.randn(50, 12, generator=torch.Generator().manual_seed(0))
    rounded = train + 1e-3 * torch.randn(50, 12, generator=torch.Generator().manual_seed(1))
    for seen in (train, rounded):
        found = Neighbours(train).nearest(seen, 10)
        assert not (found == np.arange(50)[:, None]).any()
    assert (Neighbours(train).nearest(train + 0.2, 1) == np.arange(50)[:, None]).any()


def test_what_is_the_same_in_all_training_pictures_tells_nothing() -> None:
    train = torch.randn(20, 6, generator=torch.Generator().manual_seed(0))
    others = torch.randn(5, 6, generator=torch.Generator().manual_seed(1))
    blank = torch.full((20, 3), 0.1)
    wanted = Neighbours(train).nearest(others, 4)
    found = Neighbours(torch.cat([train, blank], 1)).nearest(torch.cat([others, 9 + blank[:5]], 1), 4)
    assert (found == wanted).all()
