"""One file over HTTP: what to ask for, which answers to believe, and when to give up waiting.

What comes goes to ``.<name>.part``. A part is continued, in the same run or a later one, when the
server still has the same version of the file (``Range`` and ``If-Range``, RFC 9110, sections 13 and
14); otherwise the file comes again as a whole, never as a mixture.
"""

import asyncio
import hashlib
import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import NoReturn
from urllib.parse import urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from tqdm import tqdm

from capflow.data.addresses import address_fault, redirect_fault
from capflow.data.answers import Answer, begun, conditions, judged, over
from capflow.data.manifest import Entry
from capflow.data.request import PassingError, RefusedError, Request, TransferError, WrongFileError

# Seconds: to connect, without a byte, and until the answer begins.
_CONNECT, _SILENCE, _ANSWER = 15.0, 30.0, 60.0
# Bytes a second, on an average of so many seconds, below which a transfer is broken off.
_LOWEST, _WINDOW = 1024, 30.0
# The deadline of a whole transfer: so many seconds, and one more for each so many bytes of it. It is
# generous, because on a line of 1 Mbit/s a picture takes a minute while 55 others come beside it.
_ALLOWED, _SLOWEST = 60.0, 16 << 10
_REDIRECTS = 5
_MOVED = frozenset({301, 302, 303, 307, 308})
# OpenSSL's names for what no second attempt changes: the two ends have no protocol, cipher or key
# strength in common, or the server has no such name, wants a certificate of ours, or speaks no TLS
# at all (RFC 8446, section 6.2). What else happens to a handshake may pass.
_NO_COMMON_TLS = frozenset(
    {
        "DH_KEY_TOO_SMALL",
        "NO_PROTOCOLS_AVAILABLE",
        "SSLV3_ALERT_HANDSHAKE_FAILURE",
        "TLSV13_ALERT_CERTIFICATE_REQUIRED",
        "TLSV1_ALERT_ACCESS_DENIED",
        "TLSV1_ALERT_INSUFFICIENT_SECURITY",
        "TLSV1_ALERT_PROTOCOL_VERSION",
        "TLSV1_UNRECOGNIZED_NAME",
        "UNSAFE_LEGACY_RENEGOTIATION_DISABLED",
        "UNSUPPORTED_PROTOCOL",
        "WRONG_VERSION_NUMBER",
    }
)


class Courier:
    """Fetches files to their parts.

    Args:
        session: the connections.
        bar: counts the bytes.
        begin: is told the announced size (0: unknown) and the version of a file before its first byte.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        bar: "tqdm[NoReturn]",
        begin: Callable[[Request, int, str], None],
    ) -> None:
        self._session, self._bar, self._begin = session, bar, begin
        self._proxies = {scheme: _with_scheme(proxy) for scheme, proxy in getproxies().items()}

    async def bring(self, request: Request, known: Entry | None) -> str | None:
        """Complete the part of a file.

        Args:
            request: the file.
            known: what the manifest has on it.

        Returns:
            The SHA-256 of the part, made on the way; empty for one that came in pieces. None: there is
            no part, because the file in its place is still what the server has.

        Raises:
            TransferError: one of its kinds.
        """
        have = begun(request, known)
        if known and have and have == known.size and request.edition == known.edition:
            return ""
        headers = conditions(request, known, have)
        conditional = not {"If-None-Match", "If-Modified-Since"}.isdisjoint(headers)
        try:
            async with self._opened(request, headers) as response:
                if response.status == 304 and conditional:
                    return None
                return await self._receive(response, request, judged(response, request, known, have))
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _judged_failure(error) from None

    @asynccontextmanager
    async def _opened(
        self, request: Request, headers: dict[str, str]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer, after the redirects that the catalogue allows."""
        url = request.url
        if fault := address_fault(url):
            raise RefusedError(fault)
        for _ in range(_REDIRECTS):
            async with asyncio.timeout(_ANSWER):
                response = await self._session.get(
                    url, headers=headers, allow_redirects=False, proxy=self._proxy(url)
                )
            async with response:
                if response.status not in _MOVED:
                    yield response
                    return
                url = _target(url, response.headers.get("Location", ""), request)
        raise RefusedError(f"more than {_REDIRECTS} redirects")

    def _proxy(self, url: str) -> str | None:
        """The proxy that the environment names; aiohttp would ask for it in a thread, for each request."""
        parts = urlsplit(url)
        proxy = self._proxies.get(parts.scheme)
        if proxy is None or proxy_bypass(parts.netloc):
            return None
        if not _is_proxy(proxy):  # it may hold a password, so it is not said
            raise RefusedError(f"{parts.scheme}_proxy of the environment is no address of an HTTP proxy")
        return proxy

    async def _receive(self, response: aiohttp.ClientResponse, request: Request, answer: Answer) -> str:
        size, sha256 = answer.start, hashlib.sha256()
        with request.part.open("ab" if answer.start else "wb", buffering=0) as stream:
            if not answer.start:
                self._begin(request, answer.total or 0, answer.version)
            async with aclosing(self._pieces(response, request, answer)) as pieces:
                async for piece in pieces:
                    size += len(piece)
                    sha256.update(piece)
                    while piece:  # a full disk takes a part of it, and refuses the rest
                        piece = piece[stream.write(piece) :]
        if size != (answer.total or request.size or size):
            request.part.unlink()
            raise WrongFileError(f"{size:,} bytes came instead of {answer.total or request.size:,}")
        return "" if answer.start else sha256.hexdigest()

    async def _pieces(
        self, response: aiohttp.ClientResponse, request: Request, answer: Answer
    ) -> AsyncGenerator[bytes, None]:
        """The body as it comes, counted on the bar; an error where it is too much or too slow."""
        size, expected = answer.start, (answer.total or 0) - answer.start
        limit, pace = request.size or request.cap, _Pace(expected)
        self._bar.total = (self._bar.total or 0) + expected
        try:
            async for piece in response.content.iter_any():
                size += len(piece)
                if size > limit:
                    raise over(request, f"more than {limit:,} bytes came")
                yield piece
                self._bar.update(len(piece))
                pace.check(len(piece))
        except aiohttp.ClientPayloadError:
            of = f" of {answer.total:,}" if answer.total else ""
            raise PassingError(f"the connection broke off after {size:,}{of} bytes") from None
        finally:
            self._bar.total -= max(0, expected - (size - answer.start))


def _with_scheme(proxy: str) -> str:
    """``localhost:3128`` is an HTTP proxy, as it is for urllib and curl."""
    return proxy if "://" in proxy else f"http://{proxy}"


def _is_proxy(proxy: str) -> bool:
    try:
        parts = urlsplit(proxy)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _target(url: str, location: str, request: Request) -> str:
    try:
        target = urljoin(url, location)
        fault = redirect_fault(url, target, request.hosts)
    except ValueError:
        raise RefusedError(f"a redirect to {location[:200]!r}, which is no address") from None
    if fault:
        raise RefusedError(fault)
    return target


def _judged_failure(error: Exception) -> TransferError:
    """What a failure of the connection is to us: some cannot pass."""
    cause = error.__cause__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return RefusedError(f"its TLS certificate is not to be trusted ({_one_line(cause)})")
    if isinstance(cause, ssl.SSLError) and cause.reason in _NO_COMMON_TLS:
        return RefusedError(f"it and this machine do not agree on TLS ({_one_line(cause)})")
    if isinstance(error, aiohttp.InvalidURL):
        return RefusedError("it is no address")
    if isinstance(error, aiohttp.ClientResponseError):  # its status is of aiohttp's making
        return PassingError(f"a malformed answer ({error.message.partition(':')[0].strip()})")
    return PassingError(_one_line(error) or "no answer in time")


class _Pace:
    """Notices a transfer that goes on, but too slowly: of late, or as a whole.

    Args:
        expected: the bytes that were announced, or 0; then the deadline grows with what comes.
    """

    def __init__(self, expected: int) -> None:
        self._begun = self._since = time.monotonic()
        self._expected, self._all, self._lately = expected, 0, 0

    def check(self, received: int) -> None:
        self._all += received
        self._lately += received
        now = time.monotonic()
        if now - self._begun > _ALLOWED + max(self._expected, self._all) / _SLOWEST:
            raise PassingError(f"too long: {self._all:,} bytes in {now - self._begun:.0f} seconds")
        if now - self._since >= _WINDOW:
            if self._lately < _LOWEST * (now - self._since):
                raise PassingError(f"too slow: {self._lately:,} bytes in {now - self._since:.0f} seconds")
            self._since, self._lately = now, 0


def session(connections: int) -> aiohttp.ClientSession:
    """A session that keeps its connections and uses them again: so many to a host, wherever it redirects.

    Callers keep to the limit by themselves, because waiting for a connection is part of an answer's
    deadline; here it holds for hosts that several others redirect to.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, limit_per_host=connections),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT, sock_read=_SILENCE),
        # A compressed body would have another length than the file.
        headers={"Accept-Encoding": "identity"},
        auto_decompress=False,
        read_bufsize=1 << 18,  # as much as one read of the socket gives
    )


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
