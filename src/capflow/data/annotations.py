"""COCO captions JSON: the one form that every data set takes after its source has been read.

A file ``data/annotations/<split>.json`` is loaded by ``pycocotools.coco.COCO`` as it is.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from capflow.files import read_json, write_json


class ImageRecord(TypedDict):
    """One picture. ``scene`` holds the facts of a generated picture."""

    id: int
    file_name: str
    width: NotRequired[int]
    height: NotRequired[int]
    coco_url: NotRequired[str]
    scene: NotRequired[dict[str, Any]]


class CaptionRecord(TypedDict):
    """One caption of one picture, raw as people wrote it."""

    id: int
    image_id: int
    caption: str


@dataclass(frozen=True)
class Annotations:
    """The pictures of one split and their captions; a test split may have no captions."""

    images: list[ImageRecord]
    annotations: list[CaptionRecord]
    info: dict[str, Any] = field(default_factory=dict)

    def captions_of(self) -> dict[int, list[str]]:
        """The captions of each picture by image id, in file order; pictures without any have []."""
        captions: dict[int, list[str]] = {image["id"]: [] for image in self.images}
        for annotation in self.annotations:
            captions[annotation["image_id"]].append(annotation["caption"])
        return captions


def read(path: Path) -> Annotations:
    """Read COCO captions JSON and check it."""
    content = read_json(path)
    return Annotations(content["images"], content.get("annotations", []), content.get("info", {}))


def write(path: Path, split: Annotations) -> None:
    """Write COCO captions JSON, atomically."""
    content = {"info": split.info, "images": split.images, "annotations": split.annotations}
    write_json(path, content)
