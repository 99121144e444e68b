"""What all tests share."""

import json
import os
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from tests.checkout import ROOT
from tests.faults.server import CONTENT, Server, serving
from tests.photographs import jpeg
from tests.tiny_coco import COUNTS, split_json

if TYPE_CHECKING:  # it loads PyTorch and MLflow, which few tests need
    from tests.together import Troop

# A busy machine is no reason to fail, and the same examples each time are one to trust CI.
settings.register_profile("capflow", deadline=None, derandomize=True)
settings.load_profile("capflow")


@pytest.fixture(autouse=True)
def _outside_of_experiments(monkeypatch: pytest.MonkeyPatch) -> None:
    """DVC's variables, and a tracking server of the user's, must not leak into tests."""
    for name in [*os.environ]:
        if name.startswith(("DVC_", "MLFLOW_TRACKING")):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's store without a run."""
    from tests.faults.trainings import empty_record  # loads MLflow, which takes seconds

    return empty_record(tmp_path_factory.mktemp("record"))


@pytest.fixture(scope="session")
def troop() -> Iterator["Troop"]:
    """Starts processes in milliseconds."""
    from tests.together import Troop

    troop = Troop()
    yield troop
    troop.close()


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


@pytest.fixture
def mirror_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a tiny COCO 2014 as a mirror has them, without image_info_test2014."""
    root = tmp_path_factory.mktemp("mirror")
    for first_id, split in enumerate(COUNTS):
        for image in split_json(split, 100 * first_id + 1, captions=False)["images"]:
            (root / split).mkdir(exist_ok=True)
            (root / split / image["file_name"]).write_bytes(jpeg(image["id"]))
    (root / "annotations").mkdir()
    with zipfile.ZipFile(root / "annotations/annotations_trainval2014.zip", "w") as archive:
        for first_id, split in enumerate(("train2014", "val2014")):
            content = json.dumps(split_json(split, 100 * first_id + 1, captions=True))
            archive.writestr(f"annotations/captions_{split}.json", content)
            archive.writestr(f"annotations/instances_{split}.json", "{}")
    return root


@pytest.fixture
def mirror(mirror_files: Path) -> Iterator[Server]:
    """The tiny COCO on a loopback server, with image_info_test2014.json alone."""
    info = split_json("test2014", 201, captions=False)
    (mirror_files / "annotations/image_info_test2014.json").write_text(json.dumps(info), encoding="utf-8")
    with serving(mirror_files) as server:
        yield server
