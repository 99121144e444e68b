"""The workers of a download: who tries what, how often, and what an interruption does to them."""

import asyncio
import logging
import os
import random
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, NoReturn

from tqdm import tqdm

from capflow.data.install import Installer
from capflow.data.manifest import Entry, Manifest, State
from capflow.data.request import (
    AbsentError,
    PassingError,
    RefusedError,
    Request,
    TransferError,
    WrongFileError,
)
from capflow.data.transfer import Courier, session

logger = logging.getLogger(__name__)

# Enough for fifty times the speed of one connection, without more than one processor can serve.
CONNECTIONS = 56
ATTEMPTS = 5
# The longest pause between two attempts, and what is left to files on their way at an interruption;
# in seconds.
_PAUSE, _GRACE = 30.0, 5.0
# An attempt that brought this many bytes does not count: a large file on a bad line needs many.
_PROGRESS = 1 << 20
# So many requests in a row given up for the network: it is down, and the rest need not try.
_OUTAGE = CONNECTIONS


class Failure(NamedTuple):
    """A request that failed; ``absent`` when the server answered that it has no such file."""

    request: Request
    reason: str
    absent: bool


def entry_of(request: Request, manifest: Manifest) -> Entry:
    """The entry of a file, whether the manifest has one already or not."""
    edition = request.edition or ""
    known = manifest.get(request.target)
    if known and known.url == request.url:
        return known._replace(edition=edition)
    return Entry(manifest.path(request.target), request.url, "begun", edition=edition)


class Crew:
    """Workers that share the connections, the progress bar and the list of failures."""

    def __init__(self, manifest: Manifest, bar: "tqdm[NoReturn]", total: int) -> None:
        self.failures: list[Failure] = []
        self.interrupted = False
        self._manifest, self._bar, self._total = manifest, bar, total
        self._done = self._given_up = 0

    async def fetch(self, requests: Sequence[Request]) -> None:
        """Fetch all requests, or what is possible until an interruption."""
        self._stop, self._slots = asyncio.Event(), asyncio.Semaphore(CONNECTIONS)
        self._installer = Installer(self._manifest)
        async with session(CONNECTIONS) as connections:
            self._courier = Courier(connections, self._bar, self._begin)
            queue = iter(requests)
            # Twice as many as there are connections: while one file is checked and synced, another comes.
            workers = [
                asyncio.create_task(self._work(queue)) for _ in range(min(2 * CONNECTIONS, len(requests)))
            ]
            installing = asyncio.create_task(self._installer.work())
            with _interruptions(lambda: self._interrupt(workers)):
                try:
                    await asyncio.gather(*workers)
                except asyncio.CancelledError:
                    await asyncio.gather(*workers, return_exceptions=True)
                finally:
                    self._installer.close()
                await installing

    def _interrupt(self, workers: Sequence["asyncio.Task[None]"]) -> None:
        if self.interrupted:
            os._exit(130)  # nothing to tidy up: the next run copes with any instant
        self.interrupted = True
        self._stop.set()
        logger.info("interrupted: what is on its way may come; once more to leave at once")
        loop = asyncio.get_running_loop()
        for worker in workers:
            loop.call_later(_GRACE, worker.cancel)

    async def _work(self, queue: Iterator[Request]) -> None:
        for request in queue:
            if self._stop.is_set():
                return
            await self._persist(request)
            self._done += 1
            self._bar.set_postfix_str(f"{self._done}/{self._total} files", refresh=False)

    async def _persist(self, request: Request) -> None:
        """Try until the file is there, or until trying is of no use."""
        error: TransferError = PassingError("not tried, because the server does not answer")
        patience = _Patience()
        while patience.left and self._given_up < _OUTAGE:
            try:
                await self._attempt(request)
            except TransferError as failure:
                error = failure
                patience.suffer(error, request.part.stat().st_size if request.part.exists() else 0)
            else:
                self._given_up = 0
                return
            if patience.left and await self._pause(patience.pause()):
                return
        self._given_up = self._given_up + 1 if isinstance(error, PassingError) else 0
        self._fail(request, str(error), "missing" if isinstance(error, AbsentError) else "failed")

    async def _attempt(self, request: Request) -> None:
        request.target.parent.mkdir(parents=True, exist_ok=True)
        async with self._slots:
            if self._stop.is_set():
                raise PassingError("interrupted")
            came = await self._courier.bring(request, self._manifest.get(request.target))
        entry = entry_of(request, self._manifest)
        if came:
            await self._installer.install(request, entry)
        elif fault := await asyncio.to_thread(request.fault, request.target):
            # Without a state that could be confirmed, the next attempt asks for the file without ifs.
            self._manifest.note([entry._replace(state="failed", reason=fault)])
            raise WrongFileError(f"the server says that its file has not changed, but {fault}")
        else:
            self._manifest.note([entry])

    async def _pause(self, seconds: float) -> bool:
        """Wait; whether it ended in an interruption."""
        try:
            async with asyncio.timeout(seconds):
                return await self._stop.wait()
        except TimeoutError:
            return False

    def _begin(self, request: Request, size: int, version: str) -> None:
        entry = entry_of(request, self._manifest)
        # The digest of what is in its place stays, so that the old file is never taken for the new one.
        self._manifest.note([entry._replace(state="begun", size=size, version=version, reason="")])

    def _fail(self, request: Request, reason: str, state: State) -> None:
        self.failures.append(Failure(request, reason, absent=state == "missing"))
        entry = entry_of(request, self._manifest)
        self._manifest.note([entry._replace(state=state, reason=reason)])


class _Patience:
    """How often one file is tried again, and after which pause."""

    def __init__(self) -> None:
        self.left, self._asked = ATTEMPTS, 0.0
        self._wrong = self._most = 0

    def suffer(self, error: TransferError, have: int) -> None:
        """Take an attempt off, after which there are ``have`` bytes of the file."""
        self._wrong += isinstance(error, WrongFileError)
        if self._wrong > 1 or isinstance(error, (AbsentError, RefusedError)):
            self.left = 0
            return
        self.left = ATTEMPTS - 1 if have >= self._most + _PROGRESS else self.left - 1
        self._most = max(self._most, have)
        self._asked = error.pause if isinstance(error, PassingError) else 0.0

    def pause(self) -> float:
        """Seconds until the next attempt: twice as many each time, jittered, or what the server asks for."""
        longest = 0.5 * 2 ** (ATTEMPTS - 1 - self.left)
        return min(_PAUSE, max(self._asked, random.uniform(longest / 2, longest)))


@contextmanager
def _interruptions(handle: Callable[[], None]) -> Iterator[None]:
    """Call ``handle`` at each SIGINT; only the main thread can have them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, handle)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)
