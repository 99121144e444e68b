"""`mlflow models serve` on loopback, as a user starts it."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.checkout import environment
from tests.faults.mlflow_server import free_port


class ScoringServer:
    """A server of one model; ``told`` is what it says."""

    def __init__(self, model: str, folder: Path) -> None:
        """Start, and wait until it answers."""
        self.port = free_port()
        self.told = folder / "serving.txt"
        options = ["-m", model, "--env-manager", "local", "--host", "127.0.0.1", "--port", str(self.port)]
        with self.told.open("ab") as told:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "mlflow", "models", "serve", *options],
                cwd=folder,
                env=environment() | {"OMP_NUM_THREADS": "1"},
                stdout=told,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + 240
        while not self.lives():
            assert time.monotonic() < deadline, self.told.read_text()
            assert self._process.poll() is None, self.told.read_text()
            time.sleep(0.2)

    def lives(self) -> bool:
        address = f"http://127.0.0.1:{self.port}/ping"
        with suppress(OSError), urllib.request.urlopen(address, timeout=30) as answer:
            return bool(answer.status == 200)
        return False

    def ask(self, body: Any, **headers: str) -> tuple[int, Any]:
        """The status, and the JSON of the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        connection.request("POST", "/invocations", body, {"Content-Type": "application/json"} | headers)
        answer = connection.getresponse()
        content = json.loads(answer.read())
        connection.close()
        return answer.status, content

    def memory(self) -> float:
        """The most that the server's processes have had, in MiB."""
        group = [path for path in Path("/proc").glob("[0-9]*/stat") if self._is_own(path)]
        lines = [line for path in group for line in (path.parent / "status").read_text().splitlines()]
        return max(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024

    def _is_own(self, stat: Path) -> bool:
        with suppress(OSError):
            return int(stat.read_text().rpartition(")")[2].split()[2]) == self._process.pid
        return False

    def stop(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
