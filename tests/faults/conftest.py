"""Processes that have loaded the downloader, or the training, and can be killed; checkouts with artifacts."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.faults import work
from tests.faults.artifacts import lay_out

if TYPE_CHECKING:  # it loads PyTorch and MLflow, which few tests need
    from tests.faults import trainings


@pytest.fixture(scope="session")
def kennel() -> Iterator[work.Kennel]:
    """Starts processes in milliseconds."""
    kennel = work.Kennel()
    yield kennel
    kennel.close()


@pytest.fixture(scope="session")
def stable() -> Iterator["trainings.Kennel"]:
    """Starts trainings in milliseconds."""
    from tests.faults import trainings

    kennel = trainings.Kennel()
    yield kennel
    kennel.close()


@pytest.fixture(scope="session")
def whole(stable: "trainings.Kennel", record: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout in which a training was left alone, and MLflow was there all the time."""
    from tests.faults import trainings

    folder = tmp_path_factory.mktemp("whole")
    trainings.lay_out(folder, record)
    trainings.left_alone(stable, folder)
    return folder


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: a checkout whose artifacts are links into the cache."""
    monkeypatch.chdir(tmp_path)
    lay_out(tmp_path, tmp_path / ".dvc/cache")
    return tmp_path
