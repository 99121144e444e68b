"""Downloads: many files at a time, each complete and checked before it has its name.

A file that stands in its place is never fetched again. While it comes it is called ``.<name>.part``;
a large one that breaks off goes on where it stopped, provided that the server still has the same
version (HTTP ``Range`` and ``If-Range``, RFC 9110).
"""

import asyncio
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

import aiohttp
from filelock import FileLock
from tqdm import tqdm

from capflow import project
from capflow.files import sync

CONNECTIONS = 32
ATTEMPTS = 5
# Seconds: to connect, without a byte, and the longest pause between two attempts.
_CONNECT, _SILENCE, _PAUSE = 15, 60, 30.0
# A file of which this much is missing is worth resuming.
_RESUMABLE = 8 << 20
# So many requests in a row given up for the network: it is down, and the rest need not try.
_OUTAGE = CONNECTIONS
_NOT_THERE = frozenset({401, 403, 404, 410})
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})


class Request(NamedTuple):
    """One file to have. ``fault`` says what is wrong with the file that came, or None."""

    url: str
    target: Path
    fault: Callable[[Path], str | None]


class Failure(NamedTuple):
    """A request that failed; ``absent`` when the server answered that it has no such file."""

    request: Request
    reason: str
    absent: bool


class _PassingError(Exception):
    """A failure that may pass; ``pause`` is what the server asks for, in seconds."""

    def __init__(self, reason: str, pause: float = 0.0) -> None:
        super().__init__(reason)
        self.pause = pause


class _WrongFileError(Exception):
    """A whole file came, and it is not what it should be; once more may help, often does not."""


def fetch(requests: Sequence[Request], title: str) -> list[Failure]:
    """Fetch what is not there yet.

    Passing failures are tried again with growing pauses, at most ``ATTEMPTS`` times in all. Other
    processes that share the store wait for their turn.

    Args:
        requests: what to fetch, and where to.
        title: what to call it on the progress bar, which is shown on a terminal only.

    Returns:
        What could not be had, in the order of ``requests``.
    """
    with FileLock(project.store() / "downloads.lock"):
        wanted = [request for request in requests if not request.target.exists()]
        if not wanted:
            return []
        with tqdm(desc=title, unit="B", unit_scale=True, disable=None) as bar:
            failures = asyncio.run(_fetch_all(wanted, bar))
    order = {request.url: place for place, request in enumerate(wanted)}
    return sorted(failures, key=lambda failure: order[failure.request.url])


async def _fetch_all(requests: Sequence[Request], bar: "tqdm[NoReturn]") -> list[Failure]:
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT, sock_read=_SILENCE)
    connector = aiohttp.TCPConnector(limit=CONNECTIONS, limit_per_host=CONNECTIONS)
    # A compressed reply would have another length than the file.
    headers = {"Accept-Encoding": "identity"}
    async with aiohttp.ClientSession(
        connector=connector, timeout=timeout, headers=headers, trust_env=True
    ) as session:
        crew = _Crew(session, bar, len(requests))
        queue = iter(requests)
        await asyncio.gather(*(crew.work(queue) for _ in range(min(CONNECTIONS, len(requests)))))
    return crew.failures


class _Crew:
    """Workers that share one connection pool, one progress bar and one list of failures."""

    def __init__(self, session: aiohttp.ClientSession, bar: "tqdm[NoReturn]", total: int) -> None:
        self.failures: list[Failure] = []
        self._session, self._bar, self._total = session, bar, total
        self._done = 0
        self._given_up = 0

    async def work(self, queue: Iterator[Request]) -> None:
        """Take requests from the common queue until it is empty."""
        for request in queue:
            if failure := await self._persist(request):
                self.failures.append(failure)
            self._done += 1
            self._bar.set_postfix_str(f"{self._done}/{self._total} files", refresh=False)

    async def _persist(self, request: Request) -> Failure | None:
        reason, wrong = "not tried, because the server does not answer", 0
        for attempt in range(ATTEMPTS if self._given_up < _OUTAGE else 0):
            pause = 0.0
            try:
                failure = await self._attempt(request)
            except _PassingError as error:
                reason, pause = str(error), error.pause
            except _WrongFileError as error:
                reason, wrong = str(error), wrong + 1
            except (aiohttp.ClientError, TimeoutError) as error:
                reason = " ".join(str(error).split()) or "no answer in time"
            else:
                self._given_up = 0
                return failure
            if wrong > 1:
                return Failure(request, reason, absent=False)
            if attempt + 1 < ATTEMPTS:
                await asyncio.sleep(min(_PAUSE, max(pause, random.uniform(0.25, 0.5) * 2**attempt)))
        self._given_up += 1
        return Failure(request, reason, absent=False)

    async def _attempt(self, request: Request) -> Failure | None:
        request.target.parent.mkdir(parents=True, exist_ok=True)
        part = request.target.with_name(f".{request.target.name}.part")
        version = part.with_suffix(".version")
        async with self._session.get(request.url, headers=_resume(part, version)) as response:
            if response.status in _NOT_THERE:
                return Failure(request, f"HTTP {response.status} {response.reason}", absent=True)
            _check_status(response, part)
            await self._receive(response, part, version)
        await asyncio.to_thread(_install, part, request)
        version.unlink(missing_ok=True)
        return None

    async def _receive(self, response: aiohttp.ClientResponse, part: Path, version: Path) -> None:
        length = response.content_length or 0
        self._bar.total = (self._bar.total or 0) + length
        with part.open("ab" if response.status == 206 else "wb") as stream:
            if response.status == 200:
                _note_version(response, version)
            async for chunk in response.content.iter_chunked(1 << 20):
                stream.write(chunk)
                self._bar.update(len(chunk))


def _note_version(response: aiohttp.ClientResponse, version: Path) -> None:
    """Remember which version of a large file has been begun, if the server tells it strictly."""
    version.unlink(missing_ok=True)
    name = response.headers.get("ETag", "")
    if (response.content_length or 0) >= _RESUMABLE and name.startswith('"'):
        version.write_text(name, encoding="utf-8")


def _resume(part: Path, version: Path) -> dict[str, str]:
    """The headers that ask for the rest of a file; none when it has to come as a whole."""
    if not (part.exists() and version.exists()):
        return {}
    return {"Range": f"bytes={part.stat().st_size}-", "If-Range": version.read_text(encoding="utf-8")}


def _check_status(response: aiohttp.ClientResponse, part: Path) -> None:
    if response.status in _PASSING:
        pause = response.headers.get("Retry-After", "")
        raise _PassingError(
            f"HTTP {response.status} {response.reason}", float(pause) if pause.isdecimal() else 0.0
        )
    if response.status == 206:
        start = f"bytes {part.stat().st_size}-"
        if response.headers.get("Content-Range", "").startswith(start):
            return
    if response.status != 200:
        part.unlink(missing_ok=True)
        raise _PassingError(f"an answer that was not asked for: HTTP {response.status} {response.reason}")


def _install(part: Path, request: Request) -> None:
    """Check a file that came and give it its name; a wrong one is removed and asked for again."""
    if fault := request.fault(part):
        part.unlink()
        raise _WrongFileError(fault)
    sync(part)
    part.replace(request.target)
