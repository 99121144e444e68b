"""The workers of a download: who tries what, how often, and what an interruption does to them."""

import asyncio
import logging
import os
import random
from collections import defaultdict
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, NoReturn

from tqdm import tqdm

from capflow.data.install import Installer
from capflow.data.manifest import Entry, Manifest, State
from capflow.data.process import affordable, interruptions
from capflow.data.request import (
    AbsentError,
    PassingError,
    RefusedError,
    Request,
    TransferError,
    WrongFileError,
)
from capflow.data.transfer import Courier, session
from capflow.files import digest

logger = logging.getLogger(__name__)

# To one server: enough for fifty times the speed of one connection, without more than one processor
# can serve. Several servers have twice as many together.
CONNECTIONS = 56
# With so many it begins.
_FIRST = 16
ATTEMPTS = 5
# The longest pause between two attempts, and what is left to files on their way at an interruption;
# in seconds.
_PAUSE, _GRACE = 30.0, 5.0
# An attempt that brought this many bytes does not count: a large file on a bad line needs many.
_PROGRESS = 1 << 20
# So many requests to one server in a row given up for the network: it is down, the rest need not try.
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
    """Workers that share the connections, the progress bar and the list of failures.

    Attributes:
        failures: what could not be had.
        kept: what could not be asked for, but came before and is whole.
        interrupted: whether somebody wanted all of it to end.
    """

    def __init__(self, manifest: Manifest, bar: "tqdm[NoReturn]", total: int) -> None:
        self.failures: list[Failure] = []
        self.kept: list[Failure] = []
        self.interrupted = False
        self._manifest, self._bar, self._total = manifest, bar, total
        self._done = 0

    async def fetch(self, requests: Sequence[Request]) -> None:
        """Fetch all requests, or what is possible until an interruption.

        Raises:
            CapflowError: hardly any file may be open.
            OSError: the store cannot be written; nothing goes on behind the caller's back then.
        """
        limit = affordable(CONNECTIONS)
        for folder in {request.target.parent for request in requests}:
            folder.mkdir(parents=True, exist_ok=True)
        self._stop, self._installer = asyncio.Event(), Installer(self._manifest)
        self._servers: defaultdict[str, _Server] = defaultdict(lambda: _Server(limit))
        async with session(limit) as connections:
            self._courier = Courier(connections, self._bar, self._begin)
            queue = iter(requests)
            # Twice as many as a server serves: while one file is checked and synced, another comes.
            await self._employ([self._work(queue) for _ in range(min(2 * limit, len(requests)))])

    async def _employ(self, work: Iterable[Coroutine[Any, Any, None]]) -> None:
        """Let workers work beside the installer, until all have ended or one has failed."""
        workers = [asyncio.create_task(worker) for worker in work]
        installing = asyncio.create_task(self._installer.work())
        with interruptions(lambda: self._interrupt(workers)):
            await asyncio.wait(workers, return_when=asyncio.FIRST_EXCEPTION)
            for worker in workers:
                worker.cancel()  # of use only where one has failed
            outcomes = await asyncio.gather(*workers, return_exceptions=True)
            self._installer.close()
            await installing
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome

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
        patience, server = _Patience(), self._server_of(request)
        while patience.left and server.given_up < _OUTAGE:
            try:
                await self._attempt(request, server)
            except TransferError as failure:
                error = failure
                patience.suffer(error, request.part.stat().st_size if request.part.exists() else 0)
            else:
                server.given_up = 0
                return
            if patience.left and await self._pause(patience.pause()):
                return
        server.given_up = server.given_up + 1 if isinstance(error, PassingError) else 0
        await self._give_up(request, error)

    def _server_of(self, request: Request) -> "_Server":
        return self._servers[request.url.partition("://")[2].partition("/")[0]]

    async def _attempt(self, request: Request, server: "_Server") -> None:
        async with server.slots:
            if self._stop.is_set():
                raise PassingError("interrupted")
            sha256 = await self._courier.bring(request, self._manifest.get(request.target))
            server.widen()
        entry = entry_of(request, self._manifest)
        if sha256 is not None:
            await self._installer.install(request, entry._replace(sha256=sha256))
        else:
            await self._confirm(request, entry)

    async def _confirm(self, request: Request, entry: Entry) -> None:
        """Keep a file that has not changed on its server, if it has not changed here."""
        if await asyncio.to_thread(digest, request.target) != entry.sha256:
            self._manifest.note([entry._replace(version="")])  # asks for all of it the next time
            raise WrongFileError("the file in the store is not what came")
        if fault := await asyncio.to_thread(request.fault, request.target):
            raise RefusedError(f"the server says that its file has not changed, but {fault}")
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
        self._manifest.expect([entry._replace(state="begun", size=size, version=version, reason="")])
        # Together with those of other files whose answers have come by now.
        asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        with suppress(OSError):  # the next entry that is noted says it
            self._manifest.flush()

    async def _give_up(self, request: Request, error: TransferError) -> None:
        failure = Failure(request, str(error), absent=isinstance(error, AbsentError))
        known = self._manifest.get(request.target)
        if known and isinstance(error, PassingError) and await asyncio.to_thread(_is_kept, request, known):
            self.kept.append(failure)  # its entry stays, so that the next run asks whether it has changed
            return
        self.failures.append(failure)
        state: State = "missing" if failure.absent else "failed"
        entry = entry_of(request, self._manifest)
        self._manifest.note([entry._replace(state=state, reason=failure.reason)])


def _is_kept(request: Request, known: Entry) -> bool:
    """Whether the file that came from this address before is in its place, as it came."""
    if known.state != "done" or known.url != request.url or not request.target.exists():
        return False
    return digest(request.target) == known.sha256 and not request.fault(request.target)


class _Server:
    """Whom the files come from: how many it sends at a time, and how many in a row it has not sent.

    It is asked for few at first, and for one more with each that has come. A simple server lets few
    connections wait; a system that finds no room tries again only after one second, then three.
    """

    def __init__(self, connections: int) -> None:
        first = min(_FIRST, connections)
        self.slots, self.given_up = asyncio.Semaphore(first), 0
        self._more = connections - first

    def widen(self) -> None:
        """A file has come."""
        if self._more:
            self._more -= 1
            self.slots.release()


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
