"""A process that has loaded the downloader and can be killed; a checkout with artifacts."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.artifacts import lay_out
from tests.faults.work import Kennel


@pytest.fixture(scope="session")
def kennel() -> Iterator[Kennel]:
    """Starts processes in milliseconds."""
    kennel = Kennel()
    yield kennel
    kennel.close()


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: a checkout whose artifacts are links into the cache."""
    monkeypatch.chdir(tmp_path)
    lay_out(tmp_path, tmp_path / ".dvc/cache")
    return tmp_path
