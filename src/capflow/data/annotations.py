"""COCO captions JSON: the one form that every data set takes after its source has been read.

A file ``data/annotations/<split>.json`` is loaded by ``pycocotools.coco.COCO`` as it is.
"""

import math
import reprlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, NotRequired, TypedDict, cast

from capflow.errors import CapflowError
from capflow.files import read_json, write_json
from capflow.params import Split
from capflow.text.clean import shows_nothing

# A file name has to fit into a folder of the download store, with an ending for what is unfinished.
_NAME_BYTES = 200
_DEPTH = 32
_short = reprlib.Repr()
_short.maxstring = _short.maxother = 80


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
    """The pictures of one split and their captions.

    A picture may be without captions, as all of COCO's test split are: it is kept, nothing is learned
    from it, and it is captioned but not scored.
    """

    images: list[ImageRecord]
    annotations: list[CaptionRecord]
    info: dict[str, Any] = field(default_factory=dict)

    def captions_of(self) -> dict[int, list[str]]:
        """The captions of each picture by image id, in file order; pictures without any have []."""
        captions: dict[int, list[str]] = {image["id"]: [] for image in self.images}
        for annotation in self.annotations:
            captions[annotation["image_id"]].append(annotation["caption"])
        return captions

    def only(self, image_ids: Collection[int]) -> "Annotations":
        """The pictures with these ids and their captions, in file order."""
        images = [image for image in self.images if image["id"] in image_ids]
        captions = [caption for caption in self.annotations if caption["image_id"] in image_ids]
        return Annotations(images, captions, self.info)

    def first(self, images: int) -> "Annotations":
        """The pictures with the lowest ids: a smaller subset lies within each larger one."""
        return self.only(set(sorted(image["id"] for image in self.images)[:images]))

    def one_caption_each(self) -> "Annotations":
        """The same pictures, each with the first of its captions in file order."""
        firsts: dict[int, CaptionRecord] = {}
        for caption in self.annotations:
            firsts.setdefault(caption["image_id"], caption)
        return Annotations(self.images, list(firsts.values()), self.info)


def shared_picture(splits: Mapping[Split, Annotations]) -> tuple[str, Split, Split] | None:
    """A picture that is in two splits, by its file name, and these splits; None where all are disjoint.

    A model that has learned from the pictures that it is scored on looks better than it is.
    """
    home: dict[str, Split] = {}
    for split, part in splits.items():
        for image in part.images:
            first = home.setdefault(image["file_name"], split)
            if first != split:
                return image["file_name"], first, split
    return None


def read(path: Path) -> Annotations:
    """Read COCO captions JSON and check every record.

    Raises:
        CapflowError: names the file, the first record that is wrong, and what it should be.
    """
    return parse(read_json(path), path)


def read_images(path: Path) -> list[ImageRecord]:
    """Read the pictures of COCO captions JSON alone: captions take several times as much memory.

    Raises:
        CapflowError: names the file, the first picture that is wrong, and what it should be.
    """
    images = _images_of(read_json(path, forget=("image_id", "caption")), path)
    _check_images(images, path)
    return images


def write(path: Path, split: Annotations) -> None:
    """Write COCO captions JSON, atomically."""
    content = {"info": split.info, "images": split.images, "annotations": split.annotations}
    write_json(path, content)


def parse(content: Any, origin: Path | str) -> Annotations:
    """Check decoded JSON that was read from ``origin``.

    Ids are whole numbers of 64 bits and unique, file names are unique and without a folder, every
    caption is text and belongs to a picture of the file. Captions stay raw, and keys that Capflow does
    not know are kept, as far as JSON can hold their values.

    Raises:
        CapflowError: as :func:`read`.
    """
    images = _images_of(content, origin)
    captions, info = content.get("annotations", []), content.get("info", {})
    if not isinstance(captions, list) or not isinstance(info, dict):
        raise CapflowError(f"{origin}: `annotations` is not a list or `info` not a mapping; make it again.")
    _check_values(info, "info", origin)
    ids = _check_images(images, origin)
    _check_captions(captions, ids, origin)
    return Annotations(images, captions, info)


def _images_of(content: Any, origin: Path | str) -> list[Any]:
    if not isinstance(content, dict) or not isinstance(content.get("images"), list):
        raise CapflowError(f"{origin}: not COCO captions JSON (no list `images`); fetch or make it again.")
    return cast("list[Any]", content["images"])


def _check_images(images: list[Any], origin: Path | str) -> set[int]:
    ids: set[int] = set()
    names: set[str] = set()
    for index, image in enumerate(images):
        record = f"images[{index}]"
        ids.add(_new_id(image, ids, record, origin))
        name = image.get("file_name")
        if not is_file_name(name):
            _fail(origin, record, f"`file_name` is {_short.repr(name)}, not the plain name of a file")
        if name in names:
            _fail(origin, record, f"`file_name` {name!r} is taken by an earlier picture")
        names.add(name)
        for key in ("width", "height"):
            if key in image and not (_is_whole(image[key]) and image[key] > 0):
                _fail(origin, record, f"`{key}` is {_short.repr(image[key])}, not a number of pixels")
        if not isinstance(image.get("coco_url", ""), str):
            _fail(origin, record, f"`coco_url` is {_short.repr(image['coco_url'])}, not an address")
    return ids


def _check_captions(captions: list[Any], image_ids: Collection[int], origin: Path | str) -> None:
    ids: set[int] = set()
    for index, annotation in enumerate(captions):
        record = f"annotations[{index}]"
        ids.add(_new_id(annotation, ids, record, origin))
        image_id, caption = annotation.get("image_id"), annotation.get("caption")
        if not _is_whole(image_id) or image_id not in image_ids:
            _fail(origin, record, f"`image_id` is {_short.repr(image_id)}, which no picture of the file has")
        if not isinstance(caption, str) or shows_nothing(caption):
            _fail(origin, record, f"`caption` is {_short.repr(caption)}, not a text that shows")


def _new_id(record: Any, taken: Collection[int], name: str, origin: Path | str) -> int:
    if not isinstance(record, Mapping):
        _fail(origin, name, f"it is {_short.repr(record)}, not a mapping")
    number = record.get("id")
    if not _is_whole(number):
        _fail(origin, name, f"`id` is {_short.repr(number)}, not a whole number of 64 bits")
    if number in taken:
        _fail(origin, name, f"`id` {number} is taken by an earlier record")
    _check_values(record, name, origin)
    return cast("int", number)


def _check_values(record: Mapping[str, Any], name: str, origin: Path | str) -> None:
    for key, value in record.items():
        if isinstance(value, float | dict | list) and not _is_storable(value, _DEPTH):
            _fail(origin, name, f"`{key}` is {_short.repr(value)}, which no JSON can hold")


def _is_storable(value: object, depth: int) -> bool:
    """Whether a value has no NaN and no infinity in it, and at most ``depth`` levels."""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict | list):
        parts = value.values() if isinstance(value, dict) else value
        return depth > 0 and all(_is_storable(part, depth - 1) for part in parts)
    return True


def is_file_name(name: object) -> bool:
    """Whether ``name`` is the plain, printable name of a file that is not hidden, without folder or drive.

    Names that begin with a dot belong to files that are not whole yet.
    """
    if not isinstance(name, str) or name[:1] in {"", "."} or not name.isprintable():
        return False
    return not set(name) & {"/", "\\"} and name[1:2] != ":" and len(name.encode()) <= _NAME_BYTES


def _is_whole(value: object) -> bool:
    """Whether it is a number that an array of ids can hold, and no boolean."""
    return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63


def _fail(origin: Path | str, record: str, problem: str) -> NoReturn:
    raise CapflowError(f"{origin}: {record}: {problem}; correct or remove this record.")
