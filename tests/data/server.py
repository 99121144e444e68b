"""A loopback HTTP server for a folder, with Range requests and faults on order."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


@dataclass
class Server:
    """What the server serves, what goes wrong, and what was asked of it.

    Attributes:
        faults: by path, what the next answers are instead: a status, ``html``, or a number of bytes
            (as a negative number) after which the connection is cut.
        asked: the path and the Range header of each request.
    """

    root: Path
    port: int
    faults: dict[str, list[int | str]] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    etag: str = '"1"'

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]


class _TCPServer(ThreadingHTTPServer):
    request_queue_size = 64
    state: Server


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 5
    server: _TCPServer

    def do_GET(self) -> None:
        state = self.server.state
        state.asked.append((self.path, self.headers.get("Range")))
        queue = state.faults.get(self.path, [])
        fault = queue.pop(0) if queue else None
        file = state.root / self.path.lstrip("/")
        if fault == "html":
            self._answer(200, b"<html>not what you wanted</html>")
        elif isinstance(fault, int) and fault > 0:
            self._answer(fault, b"", {"Retry-After": "0"})
        elif not file.is_file():
            self._answer(404, b"")
        else:
            self._send(file.read_bytes(), -fault if isinstance(fault, int) else None)

    def _send(self, content: bytes, cut: int | None) -> None:
        etag = self.server.state.etag
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if wanted and self.headers.get("If-Range") == etag:
            start = int(wanted[1])
            headers = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}", "ETag": etag}
            self._answer(206, content[start:], headers, cut)
        else:
            self._answer(200, content, {"ETag": etag}, cut)

    def _answer(
        self, status: int, body: bytes, headers: dict[str, str] | None = None, cut: int | None = None
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[:cut])
        if cut is not None:
            self.close_connection = True

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def serving(root: Path) -> Iterator[Server]:
    """Serve a folder on a free loopback port until the block ends."""
    with _TCPServer(("127.0.0.1", 0), _Handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        server.state = Server(root, server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server.state
        finally:
            server.shutdown()
            thread.join()
