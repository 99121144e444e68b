"""From a part that has come to a file in its place: checked, synced, renamed; many at a time.

One sync of the disk costs about as much as one picture from a near server. So whatever has come
while one group of files was synced makes up the next group.
"""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from capflow.data.manifest import Entry, Manifest
from capflow.data.request import Request, WrongFileError
from capflow.files import digest, sync, sync_all


class _Order(NamedTuple):
    request: Request
    entry: Entry
    settled: "asyncio.Future[None]"


class Installer:
    """Puts files in their places, and into the manifest."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self._orders: list[_Order] = []
        self._wake = asyncio.Event()
        self._closed = False

    async def install(self, request: Request, entry: Entry) -> None:
        """Check the part of a file, give it its name, and record it.

        Args:
            request: the file.
            entry: its entry, but for the size; the digest is made here where it is empty.

        Raises:
            WrongFileError: it is not what it should be, and has been removed.
        """
        settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._orders.append(_Order(request, entry, settled))
        self._wake.set()
        await settled

    async def work(self) -> None:
        """Serve until closed."""
        while self._orders or not self._closed:
            await self._wake.wait()
            self._wake.clear()
            orders, self._orders = self._orders, []
            try:
                faults = await asyncio.to_thread(_put, orders, self._manifest)
                outcomes = [WrongFileError(fault) if fault else None for fault in faults]
            except Exception as error:  # noqa: BLE001 - whatever it is, those who wait have to hear of it
                _settle(orders, [error] * len(orders))
            else:
                _settle(orders, outcomes)

    def close(self) -> None:
        """Nothing more will come."""
        self._closed = True
        self._wake.set()


def _settle(orders: Sequence[_Order], outcomes: Sequence[Exception | None]) -> None:
    for order, outcome in zip(orders, outcomes, strict=True):
        if order.settled.cancelled():
            continue
        if outcome is None:
            order.settled.set_result(None)
        else:
            order.settled.set_exception(outcome)


def _put(orders: Sequence[_Order], manifest: Manifest) -> list[str | None]:
    """Install what is right, remove what is wrong, and say what is wrong with each."""
    faults = [order.request.fault(order.request.part) for order in orders]
    good = [order for order, fault in zip(orders, faults, strict=True) if fault is None]
    done = [_described(order) for order in good]
    sync_all([order.request.part for order in good])
    for order in good:
        order.request.part.replace(order.request.target)
    for folder in {order.request.target.parent for order in good}:
        sync(folder)
    manifest.note(done)
    for order, fault in zip(orders, faults, strict=True):
        if fault is not None:
            order.request.part.unlink()
    return faults


def _described(order: _Order) -> Entry:
    part = order.request.part
    sha256 = order.entry.sha256 or digest(part)
    return order.entry._replace(state="done", size=part.stat().st_size, sha256=sha256, reason="")
