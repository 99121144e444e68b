"""MLflow's own server on loopback, which can be killed and started again, and one that never answers."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.checkout import environment


class MlflowServer:
    """A server whose database and artifacts lie in a folder and stay when it is killed."""

    OPTIONS = ("--host", "--port", "--workers", "--backend-store-uri", "--artifacts-destination")

    def __init__(self, folder: Path, database: str = "", *more: str) -> None:
        """Choose a port; ``database`` is ``mlflow.db`` in the folder, if not named; ``more`` options."""
        self._folder, self._database = folder, database or f"sqlite:///{folder / 'mlflow.db'}"
        self._more = more
        self._port = free_port()
        self.address = f"http://127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, seconds: float = 240) -> None:
        """Start, and wait until it answers."""
        values = ("127.0.0.1", str(self._port), "1", self._database, str(self._folder / "artifacts"))
        options = [f"{name}={value}" for name, value in zip(self.OPTIONS, values, strict=True)]
        with (self._folder / "server.txt").open("ab") as told:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "mlflow", "server", *options, *self._more],
                cwd=self._folder,
                env=environment(),
                stdout=told,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + seconds
        while not self._answers():
            assert time.monotonic() < deadline, (self._folder / "server.txt").read_text()
            assert self._process.poll() is None, (self._folder / "server.txt").read_text()
            time.sleep(0.2)

    def _answers(self) -> bool:
        with suppress(OSError), urllib.request.urlopen(f"{self.address}/health", timeout=5) as answer:
            return bool(answer.status == 200)
        return False

    def kill(self) -> None:
        """SIGKILL for the server and its workers."""
        if self._process:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def files(self) -> list[str]:
        """The names of the artifacts of all runs."""
        folder = self._folder / "artifacts"
        return sorted(
            path.relative_to(folder).as_posix().partition("/artifacts/")[2] for path in all_files(folder)
        )


def all_files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def silence() -> Iterator[str]:
    """A server that accepts and never answers; its address."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
