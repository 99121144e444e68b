"""Pictures as one memory map of pixels for each split, so that no epoch decodes a JPEG again.

:mod:`capflow.data.precompute` makes them. A picture that is missing or damaged has no row, and so the rows
decide what is learned from, captioned and scored.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from capflow import project
from capflow.data import annotations
from capflow.data.annotations import Annotations
from capflow.data.npy import mapped
from capflow.errors import CapflowError
from capflow.files import read_json
from capflow.params import Split

T = TypeVar("T", bound=np.generic)

_LARGEST = 2**63


@dataclass(frozen=True)
class Tensors:
    """The pictures of one split.

    Attributes:
        ids: int64 [N], the image id of each row.
        pixels: uint8 [N, size, size, 3], memory-mapped.
    """

    ids: NDArray[np.int64]
    pixels: NDArray[np.uint8]


def read(folder: Path, split: str) -> Tensors:
    """Open the pictures of one split.

    Raises:
        CapflowError: a file is missing, or is not what :mod:`capflow.data.precompute` makes.
    """
    ids = np.array(_ids(folder, split), np.int64)
    return Tensors(ids, read_rows(folder / f"{split}.npy", np.dtype(np.uint8), len(ids)))


def described(split: Split) -> Annotations:
    """The annotations of the pictures that have a row in data/tensors: all that counts for anything.

    Raises:
        CapflowError: the annotations or the rows' ids cannot be read.
    """
    known, ids = annotations.read(project.ANNOTATIONS / f"{split}.json"), set(_ids(project.TENSORS, split))
    if unknown := ids - {image["id"] for image in known.images}:
        raise _damaged(project.TENSORS / f"{split}.json", f"names {min(unknown)}, which no picture is")
    return known.only(ids)


def _ids(folder: Path, split: str) -> list[int]:
    path = folder / f"{split}.json"
    content = read_json(path)
    ids = content.get("ids") if isinstance(content, dict) else None
    if not isinstance(ids, list) or not all(type(each) is int and abs(each) < _LARGEST for each in ids):
        raise _damaged(path, "has no list `ids` of whole numbers")
    if len(set(ids)) < len(ids):
        raise _damaged(path, "names a picture twice")
    return ids


def _damaged(path: Path, problem: str) -> CapflowError:
    return CapflowError(f"{path}: {problem}; delete it and run `dvc repro`.")


def read_rows(path: Path, dtype: np.dtype[T], rows: int) -> NDArray[T]:
    """Memory-map an array of ``rows`` rows.

    Raises:
        CapflowError: the file is missing, truncated, or has another type or number of rows.
    """
    try:
        array: NDArray[T] = mapped(path, empty=not rows)
    except (OSError, ValueError) as error:
        raise CapflowError(f"{path}: cannot be mapped ({error}); delete it and run `dvc repro`.") from None
    if array.dtype != dtype or len(array) != rows:
        found = f"{array.dtype} {list(array.shape)}"
        raise CapflowError(f"{path}: holds {found}, not {rows} rows of {dtype}; run `dvc repro` again.")
    return array
