"""What a process does that is interrupted or killed: fetch all files of a server."""

import os
from pathlib import Path

import pyarrow.parquet  # noqa: F401 -- so that no process has to load it

from capflow import project
from capflow.data import crew
from capflow.data.download import fetch
from capflow.data.request import Request
from stages import run

CONNECTIONS = 8


def _requests(url: str, names: list[str]) -> list[Request]:
    return [
        Request(f"{url}/{name}", project.downloads() / name, lambda _: None, cap=1 << 24) for name in names
    ]


def download(checkout: Path, url: str, names: list[str], grace: float) -> None:
    """Fetch files as a stage does: what cannot be had is an error."""
    os.chdir(checkout)
    os.environ["NO_PROXY"] = "127.0.0.1"
    crew.CONNECTIONS, crew._PAUSE, crew._GRACE = CONNECTIONS, 0.1, grace

    def main() -> None:
        if fetch(_requests(url, names), "all"):
            raise SystemExit(1)

    run(main)
