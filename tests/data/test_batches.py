"""Batches: every caption once an epoch, with its own picture, in an order that the seed decides."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capflow.data.batches import Batches, Order
from capflow.data.captions import EncodedCaptions
from capflow.errors import CapflowError
from capflow.text.vocabulary import END, PAD, START


def encoded(lengths: list[int], images: list[int]) -> EncodedCaptions:
    """Captions whose words say which caption they are."""
    captions = [[START, *[4 + place] * length, END] for place, length in enumerate(lengths)]
    offsets = np.cumsum([0, *map(len, captions)])
    tokens = np.array([token for caption in captions for token in caption], np.int32)
    return EncodedCaptions(tokens, offsets.astype(np.int64), np.array(images, np.int64))


@st.composite
def cases(draw: st.DrawFn) -> tuple[EncodedCaptions, np.ndarray[tuple[int], np.dtype[np.int64]], int]:
    count = draw(st.integers(1, 40))
    lengths = draw(st.lists(st.integers(1, 4), min_size=count, max_size=count))
    images = draw(st.lists(st.integers(100, 110), min_size=count, max_size=count))
    # Some pictures are missing, and rows are in any order.
    ids = draw(st.permutations(range(100, 110)))[: draw(st.integers(1, 10))]
    return encoded(lengths, images), np.array(ids, np.int64), draw(st.integers(1, 12))


@given(cases(), st.sampled_from(["padded", "length"]), st.integers(0, 3))
def test_each_caption_comes_once_with_its_picture(
    case: tuple[EncodedCaptions, np.ndarray[tuple[int], np.dtype[np.int64]], int], order: Order, epoch: int
) -> None:
    captions, ids, size = case
    usable = [place for place, image in enumerate(captions.images) if image in ids]
    if not usable:
        with pytest.raises(CapflowError):
            Batches(captions, ids, size, order, seed=1)
        return
    batches = Batches(captions, ids, size, order, seed=1)
    seen = []
    for batch in batches.epoch(epoch):
        assert len(set(batch.rows)) == len(batch.rows)
        for row, tokens in zip(batch.rows[batch.picture.numpy()], batch.tokens, strict=True):
            caption = int(tokens[1]) - 4
            seen.append(caption)
            assert ids[row] == captions.images[caption]
            words = tokens[tokens != PAD].tolist()
            start = captions.offsets[caption]
            assert words == captions.tokens[start : start + len(words)].tolist()
        if order == "length":
            assert len(batch.tokens) <= size
            assert (batch.tokens != PAD).all()
    assert sorted(seen) == usable
    assert batches.captions_per_epoch() == len(usable)


@given(cases(), st.data())
def test_pictures_that_are_asked_for_come_with_all_their_captions(
    case: tuple[EncodedCaptions, np.ndarray[tuple[int], np.dtype[np.int64]], int], data: st.DataObject
) -> None:
    captions, ids, size = case
    if not np.isin(captions.images, ids).any():
        return
    rows = np.array(sorted(data.draw(st.sets(st.integers(0, len(ids) - 1)))), np.int64)
    seen: list[int] = []
    pictures: list[int] = []
    for batch in Batches(captions, ids, size, "length", seed=1).of(rows):
        pictures += batch.rows.tolist()
        for row, tokens in zip(batch.rows[batch.picture.numpy()], batch.tokens, strict=True):
            seen.append(int(tokens[1]) - 4)
            assert ids[row] == captions.images[seen[-1]]
    assert sorted(seen) == np.flatnonzero(np.isin(captions.images, ids[rows])).tolist()
    assert len(pictures) == len(set(pictures))


def test_whole_pictures_share_a_batch() -> None:
    captions = encoded([2] * 20, [place // 5 for place in range(20)])
    batches = Batches(captions, np.arange(4), 10, "padded", seed=1)
    assert [len(batch.rows) for batch in batches.epoch(1)] == [2, 2]
    assert len(batches) == 2


@pytest.mark.parametrize("order", ["padded", "length"])
def test_the_order_is_a_function_of_seed_and_epoch(order: Order) -> None:
    captions = encoded([1, 2, 3, 4] * 10, list(range(40)))

    def epoch(seed: int, number: int) -> list[list[int]]:
        batches = Batches(captions, np.arange(40), 4, order, seed)
        return [batch.rows.tolist() for batch in batches.epoch(number)]

    assert epoch(1, 1) == epoch(1, 1)
    assert epoch(1, 1) != epoch(1, 2)
    assert epoch(1, 1) != epoch(2, 1)
    later = Batches(captions, np.arange(40), 4, order, 1).epoch(1, 3)
    assert [batch.rows.tolist() for batch in later] == epoch(1, 1)[3:]


@given(cases())
def test_references_are_all_captions_by_picture(
    case: tuple[EncodedCaptions, np.ndarray[tuple[int], np.dtype[np.int64]], int],
) -> None:
    captions, ids, size = case
    wanted = sorted(
        (int(np.flatnonzero(ids == image)[0]), place, int(captions.lengths[place]))
        for place, image in enumerate(captions.images)
        if image in ids
    )
    if not wanted:
        return
    words, lengths, rows = Batches(captions, ids, size, "padded", seed=1).references()
    assert words.tolist() == [
        token for _, place, length in wanted for token in [4 + place] * (length - 2) + [END]
    ]
    assert lengths.tolist() == [length - 1 for *_, length in wanted]
    assert rows.tolist() == [row for row, *_ in wanted]
