"""Work on all cores whose results are taken in order, with few of them waiting to be taken."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from capflow.engine import cores

Item = TypeVar("Item")
Result = TypeVar("Result")

# Results in memory: enough to keep every core busy while one of them is used.
_AHEAD = 64


def in_order(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """``work`` of each item, in the order of ``items``.

    Unlike :meth:`concurrent.futures.Executor.map`, which begins with all items at once, it takes an item
    only when few results are waiting, so that memory does not grow with the number of items.

    Raises:
        Exception: what ``work`` raises, in its turn.
    """
    coming: deque[Future[Result]] = deque()
    beside = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    with ThreadPoolExecutor(cores(beside)) as pool:
        for item in items:
            coming.append(pool.submit(work, item))
            if len(coming) > _AHEAD:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()
