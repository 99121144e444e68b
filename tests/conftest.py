"""What all tests share."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.checkout import ROOT
from tests.faults.server import CONTENT, Server, serving

# A busy machine is no reason to fail, and the same examples each time are one to trust CI.
settings.register_profile("capflow", deadline=None, derandomize=True)
settings.load_profile("capflow")


@pytest.fixture(autouse=True)
def _outside_of_experiments(monkeypatch: pytest.MonkeyPatch) -> None:
    """DVC's variables, and a tracking server of the user's, must not leak into tests."""
    for name in [*os.environ]:
        if name.startswith(("DVC_", "MLFLOW_TRACKING")):
            monkeypatch.delenv(name)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: a checkout with its catalogue alone; pauses between attempts are short."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setattr("capflow.data.crew._PAUSE", 0.01)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dvc.yaml").touch()
    for entry in (ROOT / "data/sources").glob("*/dataset.yaml"):
        copy = tmp_path / entry.relative_to(ROOT)
        copy.parent.mkdir(parents=True)
        shutil.copy(entry, copy)
    return tmp_path


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory, checkout: Path) -> Iterator[Server]:
    """Five files of 16 KiB and a bit, 0.bin to 4.bin."""
    root = tmp_path_factory.mktemp("server")
    for number in range(5):
        (root / f"{number}.bin").write_bytes(CONTENT + bytes([number]))
    with serving(root) as server:
        yield server
