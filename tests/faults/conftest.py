"""An empty checkout, a fault server, and a process that has loaded the downloader and can be killed."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from capflow import project
from capflow.data import crew
from capflow.data.request import Request
from tests.data.conftest import mirror, mirror_files  # noqa: F401 -- a tiny COCO, for the tests here, too
from tests.faults.server import Server, serving
from tests.faults.work import Kennel

CONTENT = bytes(range(256)) * 64


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: an empty checkout; pauses between attempts are short."""
    monkeypatch.delenv("DVC_ROOT", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(crew, "_PAUSE", 0.01)
    (tmp_path / "dvc.yaml").touch()
    return tmp_path


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory, checkout: Path) -> Iterator[Server]:
    """Five files of 16 KiB and a bit, 0.bin to 4.bin."""
    root = tmp_path_factory.mktemp("server")
    for number in range(5):
        (root / f"{number}.bin").write_bytes(CONTENT + bytes([number]))
    with serving(root) as server:
        yield server


@pytest.fixture(scope="session")
def kennel() -> Iterator[Kennel]:
    """Starts processes in milliseconds."""
    kennel = Kennel()
    yield kennel
    kennel.close()


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
