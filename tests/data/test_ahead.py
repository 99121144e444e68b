"""Results in order, with bounded memory."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capflow.data.ahead import in_order


@given(st.lists(st.integers(), max_size=300))
def test_results_have_the_order_of_the_items(items: list[int]) -> None:
    assert list(in_order(lambda item: item * 2, items)) == [item * 2 for item in items]


def test_few_items_are_taken_before_the_first_result_is() -> None:
    taken, lock = 0, threading.Lock()

    def count(item: int) -> int:
        nonlocal taken
        with lock:
            taken += 1
        return item

    results = in_order(count, range(10_000))
    assert next(results) == 0
    assert taken <= 100
    results.close()  # type: ignore[attr-defined]


def test_an_error_comes_in_its_turn() -> None:
    def work(item: int) -> int:
        if item == 5:
            raise ValueError("five")
        return item

    results = in_order(work, range(1000))
    assert [next(results) for _ in range(5)] == list(range(5))
    with pytest.raises(ValueError, match="five"):
        next(results)
