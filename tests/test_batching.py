"""Callers in many threads: each gets its own answers, and what waits together is answered together."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from capflow.batching import Together


class Slow:
    """Answers with the item and the kind; the first batch lasts until it is released."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.began, self.released = threading.Event(), threading.Event()

    def __call__(self, items: Sequence[int], kind: str) -> list[str]:
        self.batches.append(list(items))
        self.began.set()
        assert self.released.wait(60)
        if any(item < 0 for item in items):
            raise ValueError("negative")
        return [f"{item}{kind}" for item in items]


def all_waiting(together: Together[int, str, str], count: int) -> None:
    while len(together._waiting) < count:
        threading.Event().wait(0.001)


def test_what_waits_together_is_answered_together_and_in_order() -> None:
    slow = Slow()
    together = Together(slow, most=6)
    with ThreadPoolExecutor(20) as pool:
        first = pool.submit(together, [0], "a")
        assert slow.began.wait(60)
        wishes = [([10 * n + k for k in range(2)], "ab"[n % 5 == 4]) for n in range(1, 11)]
        asked = [pool.submit(together, *wish) for wish in wishes]
        all_waiting(together, 10)
        slow.released.set()
        assert first.result(60) == ["0a"]
        for (items, kind), answer in zip(wishes, asked, strict=True):
            assert answer.result(60) == [f"{item}{kind}" for item in items]
    assert max(map(len, slow.batches)) == 6
    assert len(slow.batches) == 1 + 3 + 1  # eight wishes of one kind, three at a time, and two of the other


def test_an_error_is_told_to_those_of_its_batch_and_the_next_is_served() -> None:
    slow = Slow()
    slow.released.set()
    together = Together(slow, most=6)
    with pytest.raises(ValueError, match="negative"):
        together([-1], "a")
    assert together([1], "a") == ["1a"]


def test_more_than_fits_comes_alone() -> None:
    slow = Slow()
    slow.released.set()
    assert Together(slow, most=2)(range(5), "a") == ["0a", "1a", "2a", "3a", "4a"]
