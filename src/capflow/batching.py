"""What many callers ask, answered together: what comes while others are seen to goes into one batch."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Item = TypeVar("Item")
Kind = TypeVar("Kind")
Answer = TypeVar("Answer")


@dataclass
class _Wish(Generic[Item, Kind, Answer]):
    """What one caller wants, and, once it has been seen to, what came of it."""

    items: Sequence[Item]
    kind: Kind
    answers: list[Answer] = field(default_factory=list)
    error: Exception | None = None
    done: bool = False


class Together(Generic[Item, Kind, Answer]):
    """Answers callers in many threads, one batch at a time.

    There is no thread of its own and no pause: the caller who finds nobody at work serves all who wait, as
    far as they want the same kind of answer; who comes meanwhile waits for the next turn.
    """

    def __init__(self, answer: Callable[[Sequence[Item], Kind], list[Answer]], most: int) -> None:
        """Answer by a function that gets at most ``most`` items, or those of one caller."""
        self._answer, self._most = answer, most
        self._turn, self._lock = threading.Lock(), threading.Lock()
        self._waiting: list[_Wish[Item, Kind, Answer]] = []

    def __call__(self, items: Sequence[Item], kind: Kind) -> list[Answer]:
        """The answer to each item; blocks until they are there, and raises what their batch raised."""
        wish: _Wish[Item, Kind, Answer] = _Wish(items, kind)
        with self._lock:
            self._waiting.append(wish)
        while not wish.done:
            with self._turn:
                if not wish.done:
                    self._serve(self._next())
        if wish.error:
            raise wish.error
        return wish.answers

    def _next(self) -> list[_Wish[Item, Kind, Answer]]:
        """Who has waited longest, and all who go with that one."""
        with self._lock:
            chosen, left, room = [self._waiting[0]], [], self._most - len(self._waiting[0].items)
            for wish in self._waiting[1:]:
                if wish.kind == chosen[0].kind and len(wish.items) <= room:
                    chosen.append(wish)
                    room -= len(wish.items)
                else:
                    left.append(wish)
            self._waiting = left
        return chosen

    def _serve(self, wishes: list[_Wish[Item, Kind, Answer]]) -> None:
        try:
            answers = iter(self._answer([item for wish in wishes for item in wish.items], wishes[0].kind))
            for wish in wishes:
                wish.answers = [next(answers) for _ in wish.items]
        except Exception as error:  # noqa: BLE001 - each caller is told, and the next one is served
            for wish in wishes:
                wish.error = error
        for wish in wishes:
            wish.done = True
