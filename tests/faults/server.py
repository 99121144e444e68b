"""A loopback HTTP server for a folder that does what it is told to do wrong. Standard library only."""

import re
import ssl
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

CONTENT = bytes(range(256)) * 64
_MOST = 64 << 20  # bytes of one body: even an endless one ends


@dataclass(frozen=True)
class Fault:
    """What is wrong with one answer. Without any of these it is right.

    Attributes:
        status: answer this, without a file.
        body: send this instead of the file.
        headers: send these as well, or instead; None leaves one out.
        cut: close the connection after so many bytes of the body.
        chunk: send the body in pieces of so many bytes ...
        pause: ... and wait so many seconds after each.
        whole: ignore Range, and send everything with status 200.
        heedless: ignore If-Range, and send the rest of whatever there is now.
        shift: the body of a 206 begins so many bytes too late, and says so.
        chunked: send the body chunked, so without a length.
        endless: repeat the body until the client has had enough.
    """

    status: int = 0
    body: bytes | None = None
    headers: Mapping[str, str | None] = field(default_factory=dict)
    cut: int | None = None
    chunk: int = 1 << 16
    pause: float = 0.0
    whole: bool = False
    heedless: bool = False
    shift: int = 0
    chunked: bool = False
    endless: bool = False


HTML = Fault(body=b"<!DOCTYPE html><html>not what you wanted</html>")


@dataclass
class Server:
    """What the server serves, what goes wrong, and what was asked of it.

    Attributes:
        faults: by path, what is wrong with the next answers; after them all is well.
        always: what is wrong with every other answer.
        asked: the path and the Range header of each request.
        sent: the bytes of bodies that were sent, by path.
        busy: the answers that are under way; most: as many as there ever were at a time.
        etag: the version of all files; None: their dates say it, which lie a minute back.
    """

    root: Path
    url: str
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    always: Fault = field(default_factory=Fault)
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    sent: Counter[str] = field(default_factory=Counter)
    most: int = 0
    busy: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    etag: str | None = '"1"'
    changed: float = field(default_factory=lambda: time.time() - 60)

    def paths(self) -> list[str]:
        """The paths that were asked for, in order."""
        return [path for path, _ in self.asked]

    def version(self) -> tuple[str, str]:
        """The header that names the version of the files, and its value."""
        return ("ETag", self.etag) if self.etag else ("Last-Modified", formatdate(self.changed, usegmt=True))


class _TCPServer(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True
    block_on_close = False
    state: Server

    def handle_error(self, *_: Any) -> None:
        """A client that goes away, or that trusts nobody, is no error here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 10
    disable_nagle_algorithm = True
    server: _TCPServer

    def do_GET(self) -> None:
        state = self.server.state
        with state.lock:
            state.busy += 1
            state.most = max(state.most, state.busy)
        try:
            self._get(state)
        finally:
            with state.lock:
                state.busy -= 1

    def _get(self, state: Server) -> None:
        state.asked.append((self.path, self.headers.get("Range")))
        queue = state.faults.get(self.path)
        fault = queue.pop(0) if queue else state.always
        file = state.root / self.path.lstrip("/")
        if fault.status:
            self._answer(fault.status, b"", {}, fault)
        elif fault.body is not None:
            self._answer(200, fault.body, {}, fault)
        elif not file.is_file():
            self._answer(404, b"", {}, fault)
        else:
            self._file(file.read_bytes(), fault)

    def _file(self, content: bytes, fault: Fault) -> None:
        name, version = self.server.state.version()
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if version in (self.headers.get("If-None-Match"), self.headers.get("If-Modified-Since")):
            self._answer(304, b"", {name: version}, fault)
        elif wanted and (fault.heedless or self.headers.get("If-Range") == version) and not fault.whole:
            start = int(wanted[1]) + fault.shift
            if start >= len(content):
                self._answer(416, b"", {"Content-Range": f"bytes */{len(content)}"}, fault)
                return
            part = f"bytes {start}-{len(content) - 1}/{len(content)}"
            self._answer(206, content[start:], {name: version, "Content-Range": part}, fault)
        else:
            self._answer(200, content, {name: version}, fault)

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str], fault: Fault) -> None:
        framing = {"Transfer-Encoding": "chunked"} if fault.chunked else {"Content-Length": str(len(body))}
        if fault.endless:
            framing = {"Connection": "close"}
        self.send_response(status)
        for name, value in {**framing, **headers, **fault.headers}.items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        self._send(body, fault)
        if fault.cut is not None or fault.endless or fault.headers:
            self.close_connection = True

    def _send(self, body: bytes, fault: Fault) -> None:
        total = _MOST if fault.endless else len(body)
        body = body * (_MOST // len(body)) if fault.endless else body
        for start in range(0, min(total, total if fault.cut is None else fault.cut), fault.chunk):
            piece = body[start : start + fault.chunk][: None if fault.cut is None else fault.cut - start]
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if fault.chunked else piece)
            self.server.state.sent[self.path] += len(piece)
            time.sleep(fault.pause)
        if fault.chunked and fault.cut is None:
            self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def serving(root: Path, tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    """Serve a folder on a free loopback port until the block ends."""
    with _TCPServer(("127.0.0.1", 0), _Handler) as server:
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        scheme = "https" if tls else "http"
        server.state = Server(root, f"{scheme}://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server.state
        finally:
            server.shutdown()
            thread.join()
