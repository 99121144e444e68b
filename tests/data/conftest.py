"""A tiny COCO on a loopback server."""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.server import Server, serving
from tests.photographs import jpeg

COUNTS = {"train2014": 4, "val2014": 3, "test2014": 2}


def split_json(split: str, first_id: int, captions: bool) -> dict[str, Any]:
    """What COCO publishes of one split: its pictures and, of each, two captions."""
    ids = range(first_id, first_id + COUNTS[split])
    names = {number: f"COCO_{split}_{number:012}.jpg" for number in ids}
    url = "http://images.cocodataset.org"
    images = [
        {"id": number, "file_name": name, "coco_url": f"{url}/{split}/{name}", "license": 3}
        for number, name in names.items()
    ]
    told = [
        {"id": 10 * number + which, "image_id": number, "caption": f"Picture {number},\nseen {which} times."}
        for number in ids
        for which in (1, 2)
    ]
    return {"info": {"year": 2014}, "images": images} | ({"annotations": told} if captions else {})


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
