"""What to ask a server for, and which of its answers to believe (RFC 9110, sections 8.8, 13 and 14)."""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import NamedTuple

import aiohttp

from capflow.data.manifest import Entry
from capflow.data.request import AbsentError, PassingError, RefusedError, Request, WrongFileError

_NOT_THERE = frozenset({404, 410})
# What else the server holds to be wrong with the question (RFC 9110, section 15.5; RFC 6585 and 8470)
# stays wrong, but for: timeout, part out of range, other connection, too early, too many.
_MAY_PASS = frozenset({408, 416, 421, 425, 429})

# ASCII alone, as this is what the next request says.
_ETAG = re.compile(r'(W/)?"[!#-~]*"')


class Answer(NamedTuple):
    """What the headers say: where the body begins in the file, the whole length if known, the version."""

    start: int
    total: int | None
    version: str


def begun(request: Request, known: Entry | None) -> int:
    """How much of a file there is, bytes that can be continued or are all; else 0."""
    if known is None or known.state == "done" or known.url != request.url or not request.part.exists():
        return 0
    size = request.part.stat().st_size
    strong = bool(known.version) and not known.version.startswith("W/")
    return size if size == known.size or strong else 0


def conditions(request: Request, known: Entry | None, have: int) -> dict[str, str]:
    """The headers that ask for the rest of a part, or for a file only if it has changed."""
    if known is None or known.url != request.url:
        return {}
    if have:
        return {"Range": f"bytes={have}-", "If-Range": known.version}
    if known.state != "done" or not known.version or not _is_whole(request.target, known):
        return {}
    if '"' in known.version:
        return {"If-None-Match": known.version}
    return {"If-Modified-Since": known.version.removeprefix("W/")}


def _is_whole(path: Path, known: Entry) -> bool:
    """Whether a file is in its place and has its size; a file that has lost some is asked for without ifs."""
    return path.exists() and path.stat().st_size == known.size


def judged(response: aiohttp.ClientResponse, request: Request, known: Entry | None, have: int) -> Answer:
    """Check the headers of an answer.

    Raises:
        TransferError: no file, not the one that was asked for, or too much of it.
    """
    if response.status in _NOT_THERE:
        raise AbsentError(_status(response))
    if 400 <= response.status < 500 and response.status not in _MAY_PASS:
        raise RefusedError(_status(response))
    if response.status == 206 and known and have:
        return _judged_rest(response, request, known, have)
    if response.status != 200:
        if response.status in {206, 416}:
            request.part.unlink(missing_ok=True)
        raise PassingError(_status(response), _retry_after(response))
    length = response.content_length
    framed = length is not None or "chunked" in response.headers.get("Transfer-Encoding", "").lower()
    if not framed and request.size is None:
        raise WrongFileError("an answer that does not say where it ends")
    _check_size(request, length)
    return Answer(0, length, _version(response))


def _status(response: aiohttp.ClientResponse) -> str:
    """The status in words; a server may send any bytes there."""
    return f"HTTP {response.status} {(response.reason or '').encode('ascii', 'replace').decode()}"


def _judged_rest(response: aiohttp.ClientResponse, request: Request, known: Entry, have: int) -> Answer:
    start, end, total = _stated_range(response.headers.get("Content-Range", ""), known.size)
    whole = end == total and known.size in {0, total}
    length = response.content_length in {None, total - have}
    # Not every server heeds If-Range: a version that is stated has to be that of the beginning. An ETag
    # must be stated again, a date need not be (RFC 9110, 15.3.7).
    if '"' in known.version:
        same = response.headers.get("ETag") == known.version
    else:
        same = response.headers.get("Last-Modified", known.version) == known.version
    if not (start == have and whole and length and same):
        request.part.unlink(missing_ok=True)
        raise PassingError("the server sent another part of the file than was asked for")
    _check_size(request, total)
    return Answer(have, total, known.version)


def _stated_range(header: str, known: int) -> tuple[int, int, int]:
    """Content-Range: the first byte, the one after the last, and the length of the whole file.

    That may be left open (``*``). Then it is the one that is known, since a server need not send all
    that it is asked for.
    """
    stated = re.fullmatch(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", header)
    if stated is None:
        return -1, 0, 0
    return int(stated[1]), int(stated[2]) + 1, known if stated[3] == "*" else int(stated[3])


def _check_size(request: Request, total: int | None) -> None:
    if total is None:
        return
    if request.size not in (None, total):
        raise WrongFileError(f"{total:,} bytes are announced instead of {request.size:,}")
    if total > request.cap:
        raise over(request, f"{total:,} bytes are announced, {request.cap:,} are allowed")


def over(request: Request, reason: str) -> RefusedError:
    """The error for a file that is larger than allowed, whose part is removed."""
    request.part.unlink(missing_ok=True)
    return RefusedError(reason)


def _version(response: aiohttp.ClientResponse) -> str:
    """The version of an answer: its ETag, or its date where that is none (RFC 9110, 8.8.3).

    A date is strong when it is older than the answer (8.8.2.2).
    """
    if _ETAG.fullmatch(etag := response.headers.get("ETag", "")):
        return etag
    changed = response.headers.get("Last-Modified", "")
    moment, sent = _date(changed), _date(response.headers.get("Date", ""))
    if moment is None:
        return ""
    return changed if sent and (sent - moment).total_seconds() >= 1 else f"W/{changed}"


def _retry_after(response: aiohttp.ClientResponse) -> float:
    """The seconds that the server asks for, given as such or as a date (RFC 9110, 10.2.3); 0: none."""
    text = response.headers.get("Retry-After", "")
    if text.isdecimal():
        return float(text)
    moment = _date(text)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds()) if moment else 0.0


def _date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError, TypeError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
