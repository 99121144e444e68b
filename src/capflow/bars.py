"""Progress bars: with rate and remaining time, on a terminal only, of the first process alone.

What is done within a second shows none.
"""

import os
from collections.abc import Iterable
from typing import NoReturn, TypeVar

from tqdm import tqdm

from capflow import engine

T = TypeVar("T")


def bar(items: Iterable[T], title: str, total: int | None = None, unit: str = "it") -> Iterable[T]:
    """Go through items and show how far that is.

    Args:
        items: anything to go through.
        title: what is being done, in a word or two.
        total: how many there are, where they cannot be counted.
        unit: what one of them is.
    """
    hidden = _hidden()
    return tqdm(items, title, total, leave=False, unit=unit, unit_scale=True, disable=hidden, delay=1)


def meter(title: str, total: int, unit: str) -> "tqdm[NoReturn]":
    """A bar that is moved by its ``update``; a context."""
    hidden = _hidden()
    return tqdm(None, title, total, leave=False, unit=unit, unit_scale=True, disable=hidden, delay=1)


def _hidden() -> bool | None:
    return True if engine.rank(os.environ) else None
