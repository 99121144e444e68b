"""Captions on disk: references in COCO captions JSON, predictions in COCO results JSON."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from capflow.data import annotations
from capflow.errors import CapflowError
from capflow.files import read_json


def read_references(path: Path) -> dict[int, list[str]]:
    """The captions of each picture by image id, from COCO captions JSON.

    Raises:
        CapflowError: names the file and the first record that is wrong.
    """
    return annotations.read(path).captions_of()


def references_digest(references: Mapping[int, Sequence[str]]) -> str:
    """32 characters that say which pictures were scored, and by which references."""
    whole = json.dumps({str(image): list(references[image]) for image in sorted(references)})
    return hashlib.sha256(whole.encode()).hexdigest()[:32]


def read_results(path: Path) -> dict[int, str]:
    """The caption of each picture by image id, from COCO results JSON.

    Raises:
        CapflowError: names the file and the first record that is wrong.
    """
    records = read_json(path)
    if not isinstance(records, list):
        raise CapflowError(f"{path}: not COCO results JSON (a list of `image_id` and `caption`).")
    captions: dict[int, str] = {}
    for index, record in enumerate(records):
        image, caption = _result(record, f"{path}: [{index}]")
        if image in captions:
            _fail(f"{path}: [{index}]", f"`image_id` {image} has a caption already")
        captions[image] = caption
    return captions


def _result(record: Any, origin: str) -> tuple[int, str]:
    if not isinstance(record, dict):
        _fail(origin, f"it is {record!r}, not a mapping")
    image, caption = record.get("image_id"), record.get("caption")
    if not isinstance(image, int) or isinstance(image, bool):
        _fail(origin, f"`image_id` is {image!r}, not a whole number")
    if not isinstance(caption, str):
        _fail(origin, f"`caption` is {caption!r}, not a text")
    return image, caption


def _fail(origin: str, problem: str) -> NoReturn:
    raise CapflowError(f"{origin}: {problem}; correct or remove this record.")
