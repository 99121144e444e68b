"""What stands before MLflow's scoring server: how much may come in, and what an error says.

That server reads any body, however long, answers six requests at a time on two cores, and puts the whole
request into the message of an error.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

_SENTENCE = 1000  # characters of an error that are worth telling
_HINT = 'send {"inputs": [{"image": "<the file in base64>", "best": <1 to 16, or left out>}]}'


@dataclass(frozen=True)
class Limits:
    """How much the server takes on.

    Attributes:
        body: bytes of a request.
        bodies: bytes of all requests that are being answered.
        requests: that are being answered, each in a thread that may wait for its batch.
        seconds: that a body may take to come.
        drained: bytes of a refused body that are read and forgotten, so that the client hears the answer.
    """

    body: int = 32 * 2**20
    bodies: int = 256 * 2**20
    requests: int = 128
    seconds: float = 30.0
    drained: int = 256 * 2**20


def guard_the_next_server(limits: Limits) -> None:
    """Stand before the next FastAPI application that is made in this process.

    MLflow makes its own after it has loaded a model, and has no setting for limits and no place where a model
    could add them; so its class is another one for that one time.
    """
    import fastapi

    usual = fastapi.FastAPI

    def guarded(*words: Any, **settings: Any) -> Any:
        fastapi.FastAPI = usual  # type: ignore[misc]
        app = usual(*words, **settings)
        app.add_middleware(Doorkeeper, limits=limits)
        return app

    fastapi.FastAPI = guarded  # type: ignore[misc,assignment]


class _RefusedError(Exception):
    """An answer that needs no model."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status, self.sentence = status, sentence


class Doorkeeper:
    """An ASGI application before another one, which gets what is small enough, whole."""

    def __init__(self, app: App, limits: Limits) -> None:
        """Stand before ``app``."""
        self._app, self._limits = app, limits
        self._requests = self._bytes = 0
        self._threads: ThreadPoolExecutor | None = None

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        self._have_threads()
        try:
            size = _size(scope, self._limits.body)
            self._admit(scope, size)
        except _RefusedError as refused:
            await self._drain(receive)
            await _answer(send, refused)
            return
        self._requests += 1
        self._bytes += size
        try:
            await self._pass(scope, receive, send, size)
        except _RefusedError as refused:
            await self._drain(receive)
            await _answer(send, refused)
        finally:
            self._requests -= 1
            self._bytes -= size

    def _have_threads(self) -> None:
        """One for each request: those that wait are captioned together."""
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self._limits.requests, "answer")
            asyncio.get_running_loop().set_default_executor(self._threads)

    def _admit(self, scope: Message, size: int) -> None:
        if size > self._limits.body:
            raise _RefusedError(413, f"a request may have {self._limits.body} bytes; send less")
        kind = dict(scope["headers"]).get(b"content-type", b"").split(b";")[0].strip().lower()
        if kind != b"application/json":
            raise _RefusedError(415, f"the content type has to be application/json; {_HINT}")
        if self._requests >= self._limits.requests or self._bytes + size > self._limits.bodies:
            raise _RefusedError(429, "too many requests at once; try again in a second")

    async def _pass(self, scope: Message, receive: Receive, send: Send, size: int) -> None:
        try:
            async with asyncio.timeout(self._limits.seconds):
                body = await self._read(receive, size)
        except TimeoutError:
            raise _RefusedError(408, f"a request may take {self._limits.seconds:g} s to come") from None
        if body is None:
            return
        told = [body]

        async def once() -> Message:
            if told:
                return {"type": "http.request", "body": told.pop(), "more_body": False}
            return await receive()

        plain = _Plain(send)
        del body  # it is read once, and then it is the application's
        try:
            await self._app(scope, once, plain)
        except (ValueError, RecursionError):
            # Nested too deeply, or numbers of thousands of digits.
            if plain.began:
                raise
            await _answer(send, _RefusedError(400, f"this JSON cannot be read; {_HINT}"))

    async def _read(self, receive: Receive, size: int) -> bytes | None:
        """The body; None, if the client went away."""
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            body += message.get("body", b"")
            if len(body) > size:
                raise _RefusedError(413, f"a request may have {self._limits.body} bytes")
            if not message.get("more_body"):
                return bytes(body)

    async def _drain(self, receive: Receive) -> None:
        """Forget what is still to come: a client that is cut off while it speaks does not hear the answer."""
        left = self._limits.drained
        try:
            async with asyncio.timeout(self._limits.seconds):
                while left > 0:
                    message = await receive()
                    left -= len(message.get("body", b""))
                    if not message.get("more_body"):
                        return
        except TimeoutError:
            return


class _Plain:
    """Sends answers on; errors as one short sentence, without the request and without a traceback."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message | None = None
        self._body = bytearray()
        self.began = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] >= 400:
            self._start = message
        elif self._start is None:
            self.began = True
            await self._send(message)
        else:
            self._body += message.get("body", b"")
            if not message.get("more_body"):
                self.began = True
                await _answer(self._send, _RefusedError(self._start["status"], _sentence(bytes(self._body))))


def _size(scope: Message, unknown: int) -> int:
    """How long the body says it is; one that comes in chunks may become as long as any."""
    stated = dict(scope["headers"]).get(b"content-length", b"")
    return int(stated) if stated.isdigit() else unknown


def _sentence(body: bytes) -> str:
    """What is wrong, from one of MLflow's errors, in which it stands last."""
    try:
        told = str(json.loads(body)["message"])
    except (ValueError, LookupError, TypeError):
        told = body.decode(errors="replace")
    told = told.rpartition("\nError: ")[2].strip()
    # Where it has several lines or names its input, it is pydantic's, which repeats what was sent.
    repeats = any(sign in told for sign in ("\n", "input_value", "Input:"))
    return told if len(told) <= _SENTENCE and not repeats else f"the request is not as it should be; {_HINT}"


async def _answer(send: Send, refused: _RefusedError) -> None:
    content = json.dumps({"error": refused.sentence}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(content))]
    if refused.status == 429:
        headers.append((b"retry-after", b"1"))
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
