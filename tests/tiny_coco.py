"""COCO, but tiny: a split of annotations, and what a server of it publishes."""

import copy
from pathlib import Path
from typing import Any

from capflow.data.sources.coco import CocoSpec
from capflow.sections import load_yaml
from tests.faults.server import Server

HOME = Path("data/sources/coco2014")
COUNTS = {"train2014": 4, "val2014": 3, "test2014": 2}
GOOD: dict[str, Any] = {
    "info": {"year": 2014},
    "images": [{"id": 7, "file_name": "a.jpg", "license": 3}, {"id": 5, "file_name": "b.jpg"}],
    "annotations": [
        {"id": 1, "image_id": 5, "caption": "one"},
        {"id": 2, "image_id": 5, "caption": "two"},
        {"id": 3, "image_id": 7, "caption": "three"},
    ],
}


def changed(place: list[Any], value: Any) -> dict[str, Any]:
    """GOOD with one value changed."""
    content = copy.deepcopy(GOOD)
    target: Any = content
    for key in place[:-1]:
        target = target[key]
    target[place[-1]] = value
    return content


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


def spec(server: Server, **changes: Any) -> CocoSpec:
    """The catalogue's entry of COCO 2014, with the test server as its mirror."""
    entry = load_yaml(Path("data/sources/coco2014/dataset.yaml"), CocoSpec)
    return CocoSpec.model_validate(entry.model_dump() | {"mirror": server.url} | changes)
