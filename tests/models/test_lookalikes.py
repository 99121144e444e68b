"""What training pictures tell about others."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from capflow.errors import CapflowError
from capflow.models.lookalikes import Lookalikes, whole

Floats = NDArray[np.float64]


def directions(pictures: torch.Tensor, of: torch.Tensor) -> Floats:
    """Standardised by the training pictures, and of length one."""
    rows: Floats = pictures.double().numpy() - of.double().numpy().mean(0)
    rows /= np.maximum(of.double().numpy().std(0), 1e-12)
    rows = rows.clip(-10, 10)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def kernel(one: Floats, other: Floats) -> Floats:
    like: Floats = np.exp(2 * (one @ other.T - 1))
    return like


def drawn(count: int, channels: int, seed: int) -> torch.Tensor:
    """Pictures whose channels are of very different sizes."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, channels, generator=generator) * 10.0 ** torch.arange(channels) + 5


@given(st.integers(3, 30), st.integers(4, 8), st.integers(0, 2**31))
def test_they_are_those_of_kernel_ridge_regression(known: int, channels: int, seed: int) -> None:
    train, others = drawn(known, channels, seed), drawn(4, channels, seed + 1)
    one, other = directions(train, train), directions(others, train)
    assume((other @ one.T).max() < 0.999)
    wanted = np.linalg.solve(kernel(one, one) + 0.5 * np.eye(known), kernel(one, other)).T
    np.testing.assert_allclose(Lookalikes(train).weights(others), wanted, rtol=0, atol=2e-3)


@given(st.integers(6, 30), st.integers(2, 5), st.integers(0, 2**31))
def test_of_more_pictures_than_landmarks_all_count_through_these(
    known: int, landmarks: int, seed: int
) -> None:
    train, others = drawn(known, 6, seed), drawn(4, 6, seed + 1)
    one, other = directions(train, train), directions(others, train)
    assume((other @ one.T).max() < 0.999)
    chosen = one[np.arange(landmarks) * known // landmarks]
    every = kernel(chosen, one)
    system = every @ every.T + 0.5 * kernel(chosen, chosen)
    wanted = kernel(other, chosen) @ np.linalg.solve(system, every)
    found = Lookalikes(train, landmarks).weights(others)
    assert found.shape == (4, known)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=2e-3)


def test_what_is_told_of_pictures_is_told_of_those_that_look_like_them() -> None:
    # Sixty pictures of three kinds; of each its kind is known.
    generator = torch.Generator().manual_seed(0)
    kinds = torch.arange(90) % 3
    pictures = torch.randn(3, 12, generator=generator)[kinds] + 0.4 * torch.randn(90, 12, generator=generator)
    expected = Lookalikes(pictures[:60]).weights(pictures[60:]) @ torch.eye(3)[kinds[:60]]
    assert (expected.argmax(1) == kinds[60:]).all()


def test_a_picture_tells_nothing_about_itself() -> None:
    train = torch.randn(50, 12, generator=torch.Generator().manual_seed(0))
    rounded = train + 1e-3 * torch.randn(50, 12, generator=torch.Generator().manual_seed(1))
    for seen in (train, rounded):
        weights = Lookalikes(train).weights(seen)
        assert ((weights == 0) == torch.eye(50, dtype=torch.bool)).all()
    assert (Lookalikes(train).weights(train + 0.2).diagonal() != 0).all()


def test_what_is_the_same_in_all_training_pictures_but_for_rounding_tells_nothing() -> None:
    generator = torch.Generator().manual_seed(0)
    train, others = torch.randn(20, 6, generator=generator), torch.randn(5, 6, generator=generator)
    rounding = 10 + 1e-5 * torch.randn(25, 30, generator=generator)
    wanted = Lookalikes(train).weights(others)
    found = Lookalikes(torch.cat([train, rounding[:20]], 1)).weights(torch.cat([others, rounding[20:]], 1))
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize("copies", [2, 12])
def test_pictures_that_come_several_times_share_what_one_would_tell(copies: int) -> None:
    alone = torch.randn(12, 6, generator=torch.Generator().manual_seed(0))
    others = torch.randn(3, 6, generator=torch.Generator().manual_seed(1))
    weights = Lookalikes(alone.repeat(copies, 1)).weights(others).view(3, copies, 12)
    torch.testing.assert_close(weights, weights[:, :1].expand_as(weights), rtol=0, atol=1e-3)
    assert weights.isfinite().all()


@pytest.mark.parametrize("noise", [1e-6, 1e-4, 1e-3])
def test_pictures_that_are_almost_the_same_are_no_trouble(noise: float) -> None:
    generator = torch.Generator().manual_seed(0)
    seen = torch.randn(300, 40, generator=generator)
    again = seen * (1 + noise * torch.randn(300, 40, generator=generator))
    for train in (torch.cat([seen, again]), torch.cat([seen, again]).half().float(), seen[:, :2]):
        assert Lookalikes(train).weights(seen[:, : train.shape[1]] + 0.5).isfinite().all()


@given(st.integers(3, 30), st.integers(0, 2**31))
def test_of_a_training_picture_others_tell_what_they_would_without_it(known: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    train = torch.randn(known, 6, generator=generator)
    one = directions(train, train)
    assume((one @ one.T - 2 * np.eye(known)).max() < 0.999)
    rest = np.arange(known) != 1
    system = kernel(one[rest], one[rest]) + 0.5 * np.eye(known - 1)
    wanted = np.linalg.solve(system, kernel(one[rest], one[[1]])).T
    found = Lookalikes(train).weights(train[[1]]).numpy()
    np.testing.assert_allclose(found[:, rest], wanted, rtol=0, atol=2e-3)
    assert found[0, 1] == 0


def test_what_is_seen_once_in_a_dead_channel_outweighs_nothing() -> None:
    train, other = torch.rand(50, 12), torch.rand(1, 12)
    wanted = Lookalikes(train).weights(other)
    dead = torch.zeros(51, 1)
    dead[3], dead[50] = 6e-8, 0.5
    found = Lookalikes(torch.cat([train, dead[:50]], 1)).weights(torch.cat([other, dead[50:]], 1))
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-5)


def test_a_picture_that_is_known_tells_nothing_about_itself_even_without_a_direction() -> None:
    train, own = torch.ones(4, 3), torch.tensor([2, 0])
    weights = Lookalikes(train).weights(train[own], own)
    assert ((weights == 0) == (own[:, None] == torch.arange(4))).all()


def test_pictures_that_all_look_the_same_are_answered() -> None:
    assert Lookalikes(torch.full((10, 4), 0.1)).weights(torch.full((1, 4), 0.1)).isfinite().all()


@pytest.mark.parametrize("wrong", [torch.nan, torch.inf])
def test_what_is_no_number_is_told(wrong: float) -> None:
    seen = torch.randn(10, 7, 4)
    seen[3, 2] = wrong
    with pytest.raises(CapflowError, match="holds infinities or NaN"):
        whole([torch.randn(10, 7, 4), seen])


def test_what_several_models_see_counts_once_where_they_share_it() -> None:
    one, other = torch.randn(2, 9, 3), torch.randn(2, 4, 5)
    assert torch.equal(whole([one, other, one]), torch.cat([one.mean(1), other.mean(1)], 1))
