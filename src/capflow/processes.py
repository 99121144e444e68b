"""Processes that work on one thing together, started by torchrun: ranks, sums, what one tells the others.

One process alone is rank 0 of one. Every method that speaks with the others has to be called by all of
them, in the same order.
"""

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from itertools import islice
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor
from torch import distributed as dist
from torch._C._distributed_c10d import Store

from capflow.errors import CapflowError
from capflow.interruption import heeded

T = TypeVar("T")

_LONG = timedelta(days=7)
_AWAKE = 0.05


class Processes:
    """All processes of a stage, as one of them sees them."""

    def __init__(self, rank: int = 0, count: int = 1, store: Store | None = None) -> None:
        """Be number ``rank`` of ``count``; those of more than one are joined already, and share a store."""
        self.rank, self.count, self._store = rank, count, store

    @property
    def first(self) -> bool:
        """Whether this is the one that writes and records."""
        return self.rank == 0

    def turns(self, items: Iterable[T]) -> Iterator[tuple[T, bool]]:
        """The items that are this process's, in order, and True.

        All processes get equally many: whoever would have none in the last turn gets the last item of all,
        and False.
        """
        waiting = iter(items)
        while group := list(islice(waiting, self.count)):
            self.largest(0)  # as in_step
            yield group[min(self.rank, len(group) - 1)], self.rank < len(group)

    def part(self, items: Sequence[T]) -> Sequence[T]:
        """The items in a row that are this process's."""
        first, last = (len(items) * place // self.count for place in (self.rank, self.rank + 1))
        return items[first:last]

    def in_step(
        self, items: Iterable[T], total: int, every: int = 1, meet: Callable[[], object] | None = None
    ) -> Iterator[T]:
        """A process's part of ``total`` items, of which it gets none far ahead of the others.

        Whoever is slower, and who is gone, is noticed at one of ``every`` so many items; at the end, the
        others would have waited for all that the slowest one lags behind. There all of them ``meet``, equally
        often, however unequal their parts are.
        """
        waiting = iter(items)
        for place in range(-(-total // self.count)):
            if place % every == 0:
                meet() if meet else self.largest(0)
            yield from islice(waiting, 1)

    def add(self, *tensors: Tensor) -> None:
        """Replace tensors of one type and device by their sums over all processes, in one message."""
        if self.count == 1:
            return
        message = torch.cat([tensor.flatten() for tensor in tensors])
        with in_touch():
            _heard(dist.all_reduce(message, async_op=True), message)
        for tensor, total in zip(
            tensors, torch.split(message, [one.numel() for one in tensors]), strict=True
        ):
            tensor.copy_(total.view_as(tensor))

    def largest(self, number: int) -> int:
        """The largest of the numbers that processes have."""
        return int(self._rows(torch.tensor([number])).max()) if self.count > 1 else number

    def gathered(self, value: T) -> list[T]:
        """What JSON makes of the values of all processes, by rank."""
        if self.count == 1:
            return [value]
        content = _bytes(json.dumps(value).encode())
        sizes = self._rows(torch.tensor([len(content)])).flatten().tolist()
        rows = self._rows(torch.nn.functional.pad(content, (0, max(sizes) - len(content))))
        return [json.loads(row[:size].numpy().tobytes()) for row, size in zip(rows, sizes, strict=True)]

    def _rows(self, message: Tensor) -> Tensor:
        """The messages of all processes, [processes, ...] from [...], by rank."""
        rows = message.new_empty(self.count, *message.shape)
        with in_touch():
            _heard(dist.all_gather([*rows], message, async_op=True), message)
        return rows

    def told(self, value: T) -> T:
        """What JSON makes of the value that the first process has."""
        return self.gathered(value)[0]

    def sent(self, content: bytes) -> bytes:
        """The bytes that the first process has."""
        if self.count == 1:
            return content
        message = _bytes(content)
        size = self.told(len(content))
        if not self.first:
            message = torch.empty(size, dtype=torch.uint8)
        with in_touch():
            dist.broadcast(message, 0)
        return message.numpy().tobytes()

    def follow(self) -> None:
        """Go on when the first process has come here, however long that takes: it may have to wait."""
        if self._store is not None:
            with in_touch():
                self._meet(self._store, "here")

    def leave(self) -> None:
        """As :meth:`follow`; the first process, which may hold the store, then waits for the others.

        Stops are heeded afterwards: whoever ends sooner may take the first one with it.

        Raises:
            LostTouchError: another process has ended otherwise.
            Stopped: a signal has asked for the end meanwhile.
        """
        if self._store is None:
            return
        with heeded() as stops:
            try:
                self._part(self._store)
            except LostTouchError:
                stops.heed()  # the others, too, were asked to end
                raise

    def _part(self, store: Store) -> None:
        with in_touch():
            self._meet(store, "done")
            if not self.first:
                store.set(f"left-{self.rank}", "")
            else:
                store.wait([f"left-{rank}" for rank in range(1, self.count)])

    def _meet(self, store: Store, word: str) -> None:
        if self.first:
            store.set(word, "")
        else:
            store.wait([word], _LONG)

    @contextmanager
    def chances(self, step: int) -> Iterator[None]:
        """Random numbers of a step that are this process's own, where there are several.

        They depend on the seed, the step and the rank alone; afterwards the generators are as before.
        """
        if self.count == 1:
            yield
            return
        own = np.random.SeedSequence((torch.initial_seed(), step, self.rank)).generate_state(1)
        devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
        with torch.random.fork_rng(devices):
            torch.manual_seed(int(own[0]))
            yield


ALONE = Processes()
"""A process without others."""


class LostTouchError(CapflowError):
    """Another process has ended, or cannot be reached any more."""


@contextmanager
def in_touch() -> Iterator[None]:
    """Within the block, processes speak with each other.

    Raises:
        LostTouchError: they cannot.
    """
    try:
        yield
    except RuntimeError as error:
        reason = str(error).strip().partition("\n")[0]
        raise LostTouchError(
            f"the processes have lost touch with each other ({reason}); look for what ended one of them, or "
            "for the network between them, and give the same command again."
        ) from None


def _heard(work: dist.Work | None, message: Tensor) -> None:
    """Wait until all have spoken.

    At first awake: a processor that has gone to sleep takes longer to wake up than most messages take, above
    all a virtual one. A GPU waits for itself.
    """
    if work is None:
        return
    until = time.monotonic() + _AWAKE
    while message.device.type == "cpu" and not work.is_completed() and time.monotonic() < until:
        os.sched_yield()
    work.wait()


def _bytes(content: bytes) -> Tensor:
    return torch.from_numpy(np.frombuffer(content, np.uint8).copy())
