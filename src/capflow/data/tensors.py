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
from capflow.errors import CapflowError
from capflow.files import read_json
from capflow.params import Split

T = TypeVar("T", bound=np.generic)


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
    known = annotations.read(project.ANNOTATIONS / f"{split}.json")
    return known.only(set(_ids(project.TENSORS, split)))


def _ids(folder: Path, split: str) -> list[int]:
    ids: list[int] = read_json(folder / f"{split}.json")["ids"]
    return ids


def read_rows(path: Path, dtype: np.dtype[T], rows: int) -> NDArray[T]:
    """Memory-map an array of ``rows`` rows.

    Raises:
        CapflowError: the file is missing, truncated, or has another type or number of rows.
    """
    try:
        array: NDArray[T] = np.load(path, mmap_mode="r" if rows else None, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise CapflowError(f"{path}: cannot be mapped ({error}); delete it and run `dvc repro`.") from None
    if array.dtype != dtype or len(array) != rows:
        found = f"{array.dtype} {list(array.shape)}"
        raise CapflowError(f"{path}: holds {found}, not {rows} rows of {dtype}; run `dvc repro` again.")
    return array
