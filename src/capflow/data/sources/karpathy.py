"""Karpathy's split of COCO, the one that papers report on: 113,287 / 5,000 / 5,000 pictures.

``dataset_coco.json`` comes with A. Karpathy and L. Fei-Fei, "Deep Visual-Semantic Alignments for
Generating Image Descriptions" (CVPR 2015). Its ``restval`` pictures, the rest of COCO's validation
split, belong to the training split. Captions are taken from COCO, not from this file.
"""

import re
import zipfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from capflow.data import archives
from capflow.data.annotations import Annotations, is_file_name
from capflow.data.sources.photos import Row, checked
from capflow.errors import CapflowError
from capflow.files import parse_json, read_json
from capflow.params import SPLITS, Split

FILE = "dataset_coco.json"
COUNTS: Mapping[Split, int] = {"train": 113_287, "val": 5_000, "test": 5_000}
_SPLITS: Mapping[str, Split] = {"train": "train", "restval": "train", "val": "val", "test": "test"}


def read(paths: Sequence[Path]) -> dict[int, Split]:
    """Read the split of each COCO image id.

    Args:
        paths: ``dataset_coco.json`` itself, or a ZIP that holds it; or the three files
            ``coco_karpathy_{train,val,test}.json`` that many repositories use instead.

    Raises:
        CapflowError: no such file, or a record that is not as it should be.
    """
    splits: dict[int, Split] = {}
    for path in paths:
        content = _content(path)
        name = path.stem.rpartition("_")[2] if isinstance(content, list) else ""
        images = content.get("images") if isinstance(content, dict) else content
        if not isinstance(images, list) or (name and name not in _SPLITS):
            raise CapflowError(f"{path}: no list `images`; this is not Karpathy's {FILE}.")
        for index, image in enumerate(images):
            number, split = _listed(image, name) if name else _recorded(image)
            if number is None or split is None:
                raise CapflowError(
                    f"{path}: images[{index}]: {str(image)[:100]} has no known split or no picture; "
                    f"this is not Karpathy's {FILE}, please fetch it again."
                )
            if splits.setdefault(number, split) != split:
                raise CapflowError(
                    f"{path}: images[{index}]: picture {number} is in {splits[number]}, too; fetch it again."
                )
    return splits


def _recorded(image: Any) -> tuple[int | None, Split | None]:
    """Id and split of a record of ``dataset_coco.json``."""
    number, name = (image.get("cocoid"), image.get("split")) if isinstance(image, dict) else (None, None)
    whole = isinstance(number, int) and not isinstance(number, bool)
    return number if whole else None, _SPLITS.get(name) if isinstance(name, str) else None


def _listed(image: Any, name: str) -> tuple[int | None, Split | None]:
    """Id and split of a record ``{"image": "val2014/COCO_val2014_000000391895.jpg"}``."""
    place = image.get("image") if isinstance(image, dict) else None
    digits = re.search(r"(\d{12})\.jpg$", place) if isinstance(place, str) else None
    return int(digits[1]) if digits else None, _SPLITS.get(name)


def read_captions(path: Path) -> list[Row]:
    """Read captions and splits from ``dataset_flickr8k.json`` or ``dataset_flickr30k.json``.

    Raises:
        CapflowError: names the record that is not as it should be.
    """
    content = read_json(path)
    images = content.get("images") if isinstance(content, dict) else None
    if not isinstance(images, list):
        raise CapflowError(f"{path}: no list `images`; this is not Karpathy's {path.name}.")
    return [row for index, image in enumerate(images) for row in _captions(image, f"{path}: images[{index}]")]


def _captions(image: Any, place: str) -> list[Row]:
    try:
        name, split = image["filename"], _SPLITS[image["split"]]
        texts = [sentence["raw"] for sentence in image["sentences"]]
    except (KeyError, TypeError):
        name, split, texts = "", "train", []
    if not texts or not all(isinstance(text, str) for text in texts):
        raise CapflowError(
            f"{place}: has no `filename`, no known `split` or no `sentences` with `raw` text; "
            "fetch the file again."
        )
    if not is_file_name(name):
        raise CapflowError(f"{place}: `filename` is {name!r}, not the plain name of a file; fetch it again.")
    return [checked(Row(name, text, split, place)) for text in texts]


def _content(path: Path) -> Any:
    if not zipfile.is_zipfile(path):
        return read_json(path)
    member = archives.read_member(path, FILE)
    if member is None:
        raise CapflowError(f"{path}: the archive holds no {FILE}; give the JSON itself.")
    return parse_json(member, f"{path}/{FILE}")


def resplit(
    official: Collection[Annotations], splits: Mapping[int, Split], path: Path
) -> dict[Split, Annotations]:
    """Deal COCO's training and validation pictures out by Karpathy's split.

    Args:
        official: COCO's own splits; whole or excerpts.
        splits: the split of each image id.
        path: where ``splits`` were read from, for the error.

    Raises:
        CapflowError: a picture is in none of the three splits; or these are all pictures of COCO, and
            the splits do not have the sizes that papers report on.
    """
    for image in (image for part in official for image in part.images):
        if image["id"] not in splits:
            raise CapflowError(
                f"{path}: there is no picture {image['id']} ({image['file_name']}); "
                f"take a whole {FILE}, or set `split: official`."
            )
    dealt: dict[Split, Annotations] = {}
    for split in SPLITS:
        ids = {number for number, name in splits.items() if name == split}
        shares = [part.only(ids) for part in official]
        images = [image for share in shares for image in share.images]
        captions = [caption for share in shares for caption in share.annotations]
        dealt[split] = Annotations(images, captions, shares[0].info)
    _check_counts({split: len(part.images) for split, part in dealt.items()}, path)
    return dealt


def _check_counts(counts: Mapping[Split, int], path: Path) -> None:
    if sum(counts.values()) == sum(COUNTS.values()) and counts != COUNTS:
        raise CapflowError(
            f"{path}: the splits have {dict(counts)} pictures instead of {dict(COUNTS)}; this is not "
            f"Karpathy's {FILE}, please fetch it again."
        )
