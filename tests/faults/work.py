"""A process that has loaded the downloader, and forks at once what is to be interrupted or killed."""

import json
import os
import select
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pyarrow.parquet  # noqa: F401 -- so that no fork has to load it
import pytest

from capflow import project
from capflow.data import crew
from capflow.data.download import fetch
from capflow.data.request import Request
from stages import run
from tests.checkout import ROOT

CONNECTIONS = 6


class Kennel:
    """The parent of the processes, one of which lives at a time."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.work"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
        )

    def start(self, url: str, names: list[str], grace: float) -> int:
        """Fetch files to the store of the working directory; the id of the process that does it."""
        order = json.dumps([str(Path.cwd()), url, names, grace])
        assert self._process.stdin is not None
        self._process.stdin.write(f"{order}\n".encode())
        return self._number(120)

    def running(self) -> bool:
        """Whether the process that was started last has not ended."""
        assert self._process.stdout is not None
        return not select.select([self._process.stdout], [], [], 0)[0]

    def exit_code(self) -> int:
        """Wait for its end."""
        return self._number(120)

    def _number(self, seconds: float) -> int:
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], seconds)[0]:
            self.close()  # an answer that comes later must not be taken for another one, and killed
            pytest.fail("no answer in time")
        return int(self._process.stdout.readline())

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


def _download(checkout: str, url: str, names: list[str], grace: float) -> NoReturn:
    """Fetch files as a stage does: what cannot be had is an error."""
    os.chdir(checkout)
    os.environ["NO_PROXY"] = "127.0.0.1"
    crew.CONNECTIONS, crew._PAUSE, crew._GRACE = CONNECTIONS, 0.1, grace
    folder = project.downloads()
    wanted = [Request(f"{url}/{name}", folder / name, lambda _: None, cap=1 << 24) for name in names]

    def main() -> None:
        if fetch(wanted, "all"):
            sys.exit(1)

    try:
        run(main)
    except SystemExit as error:
        os._exit(error.code if isinstance(error.code, int) else 1)
    os._exit(0)


def main() -> None:
    """Fork for each order on stdin; say the child's id, and later its exit code."""
    for line in sys.stdin:
        if not (child := os.fork()):
            _download(*json.loads(line))
        print(child, flush=True)  # noqa: T201
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
