"""Karpathy's split of COCO, the one that papers report on: 113,287 / 5,000 / 5,000 pictures.

``dataset_coco.json`` comes with A. Karpathy and L. Fei-Fei, "Deep Visual-Semantic Alignments for
Generating Image Descriptions" (CVPR 2015). Its ``restval`` pictures, the rest of COCO's validation
split, belong to the training split. Captions are taken from COCO, not from this file.
"""

import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from capflow.data import archives
from capflow.data.annotations import Annotations
from capflow.errors import CapflowError
from capflow.files import parse_json, read_json
from capflow.params import SPLITS, Split

FILE = "dataset_coco.json"
_SPLITS: Mapping[str, Split] = {"train": "train", "restval": "train", "val": "val", "test": "test"}


def read(path: Path) -> dict[int, Split]:
    """Read the split of each COCO image id, from the JSON itself or from a ZIP that holds it.

    Raises:
        CapflowError: no such file, or a record that is not as it should be.
    """
    content = _content(path)
    images = content.get("images") if isinstance(content, dict) else None
    if not isinstance(images, list):
        raise CapflowError(f"{path}: no list `images`; this is not Karpathy's {FILE}.")
    splits: dict[int, Split] = {}
    for index, image in enumerate(images):
        number, name = (image.get("cocoid"), image.get("split")) if isinstance(image, dict) else (None, None)
        if not isinstance(number, int) or not isinstance(name, str) or name not in _SPLITS:
            raise CapflowError(
                f"{path}: images[{index}]: `cocoid` is {number!r} and `split` is {name!r}; "
                f"this is not Karpathy's {FILE}, please fetch it again."
            )
        splits[number] = _SPLITS[name]
    return splits


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
        CapflowError: a picture is in none of the three splits.
    """
    for part in official:
        for image in part.images:
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
    return dealt
