"""Pictures as one memory map of pixels for each split, so that no epoch decodes a JPEG again."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from capflow.data.annotations import ImageRecord
from capflow.data.pictures import Fit, Pixels, decode, resize
from capflow.errors import CapflowError
from capflow.files import read_json, replacing, write_json

T = TypeVar("T", bound=np.generic)
Pictures = Mapping[str, Callable[[], bytes]]
"""What gives a picture's bytes, by file name, as :func:`capflow.data.archives.pictures_in` has it."""
Progress = Callable[[Iterable[ImageRecord], int], Iterable[ImageRecord]]


class Unreadable(NamedTuple):
    """A picture that is left out, and why."""

    file_name: str
    reason: str


@dataclass(frozen=True)
class Tensors:
    """The pictures of one split.

    Attributes:
        ids: int64 [N], the image id of each row.
        pixels: uint8 [N, size, size, 3], memory-mapped.
    """

    ids: NDArray[np.int64]
    pixels: Pixels


def write(
    folder: Path,
    split: str,
    pictures: Pictures,
    images: Sequence[ImageRecord],
    size: int,
    fit: Fit,
    progress: Progress,
) -> list[Unreadable]:
    """Decode and resize all pictures of a split, on all cores, into ``<split>.npy`` and ``<split>.json``.

    Pictures that are not there, or cannot be read, have no row.

    Returns:
        The pictures that could not be read.
    """
    wanted = [image for image in images if image["file_name"] in pictures]
    unreadable: list[Unreadable] = []
    # Rows are written in place, so a picture that turns out to be damaged means another pass without
    # it: rare, and cheaper than decoding each picture twice.
    while True:
        with replacing(folder / f"{split}.npy") as temporary:
            failed = _fill(temporary, pictures, wanted, size, fit, progress)
        if not failed:
            break
        unreadable += failed
        names = {failure.file_name for failure in failed}
        wanted = [image for image in wanted if image["file_name"] not in names]
    write_json(folder / f"{split}.json", {"ids": [image["id"] for image in wanted]})
    return unreadable


def _fill(
    target: Path, pictures: Pictures, images: Sequence[ImageRecord], size: int, fit: Fit, progress: Progress
) -> list[Unreadable]:
    pixels = _create(target, (len(images), size, size, 3))

    def convert(row: int) -> Unreadable | None:
        name = images[row]["file_name"]
        try:
            pixels[row] = resize(decode(pictures[name](), name), size, fit).numpy()
        except CapflowError as error:
            return Unreadable(name, str(error))
        return None

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(convert, range(len(images)))
        return [result for _, result in zip(progress(images, len(images)), results, strict=True) if result]


def _create(target: Path, shape: tuple[int, ...]) -> Pixels:
    """A memory-mapped .npy file; NumPy cannot map an empty one, so that is an ordinary array."""
    if 0 in shape:
        empty = np.zeros(shape, np.uint8)
        with target.open("wb") as stream:
            np.save(stream, empty, allow_pickle=False)
        return empty
    return np.lib.format.open_memmap(target, "w+", np.uint8, shape)


def read(folder: Path, split: str) -> Tensors:
    """Open the pictures of one split.

    Raises:
        CapflowError: a file is missing, or is not what :func:`write` makes.
    """
    ids = np.array(read_json(folder / f"{split}.json")["ids"], np.int64)
    return Tensors(ids, read_rows(folder / f"{split}.npy", np.dtype(np.uint8), len(ids)))


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
