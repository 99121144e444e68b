"""A tiny COCO on a loopback server."""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.server import Server, serving
from tests.photographs import jpeg
from tests.tiny_coco import COUNTS, split_json


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
