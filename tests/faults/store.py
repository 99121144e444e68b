"""Requests for the files of the fault server, and what the store holds after them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from capflow import project
from capflow.data.request import Request
from tests.faults.server import CONTENT


def request(url: str, fault: Callable[[Path], str | None] | None = None, **changes: Any) -> Request:
    """A request for a file of the server, which must begin as all of them do."""

    def other(path: Path) -> str | None:
        return None if path.read_bytes().startswith(CONTENT) else "something else came"

    target = project.downloads() / url.rpartition("/")[2]
    return Request(url, target, fault or other, cap=1 << 20)._replace(**changes)


def stored() -> dict[str, bytes]:
    """What is in the store, without the manifest."""
    folder = project.downloads()
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.startswith("manifest")}
