"""Pictures as one memory map of pixels for each split, so that no epoch decodes a JPEG again."""

import os
import zipfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from capflow.data.annotations import ImageRecord
from capflow.data.pictures import Fit, Pixels, decode, resize
from capflow.errors import CapflowError
from capflow.files import read_json, replacing, write_json

T = TypeVar("T", bound=np.generic)
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


class Archive:
    """The pictures of one split in their ZIP, read by file name from many threads."""

    def __init__(self, path: Path) -> None:
        """Open the ZIP.

        Raises:
            CapflowError: it is missing or not a ZIP.
        """
        try:
            self._zip = zipfile.ZipFile(path)
        except (OSError, zipfile.BadZipFile) as error:
            raise CapflowError(f"{path}: not a readable ZIP ({error}); run `dvc repro` to make it.") from None
        self._members = {PurePosixPath(name).name: name for name in self._zip.namelist()}

    def __contains__(self, file_name: str) -> bool:
        """Whether the picture is in the archive."""
        return file_name in self._members

    def read(self, file_name: str) -> bytes:
        """The bytes of one picture.

        Raises:
            CapflowError: the archive does not hold it whole.
        """
        try:
            return self._zip.read(self._members[file_name])
        except (KeyError, zipfile.BadZipFile) as error:
            raise CapflowError(f"{self._zip.filename}: {file_name} cannot be read ({error}).") from None

    def __enter__(self) -> Self:
        """The archive itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the ZIP."""
        self._zip.close()


def write(
    folder: Path,
    split: str,
    archive: Archive,
    images: Sequence[ImageRecord],
    size: int,
    fit: Fit,
    progress: Progress,
) -> list[Unreadable]:
    """Decode and resize all pictures of a split, on all cores, into ``<split>.npy`` and ``<split>.json``.

    Returns:
        The pictures that could not be read; they have no row.
    """
    wanted = [image for image in images if image["file_name"] in archive]
    unreadable: list[Unreadable] = []
    # Rows are written in place, so a picture that turns out to be damaged means another pass without
    # it: rare, and cheaper than decoding each picture twice.
    while True:
        with replacing(folder / f"{split}.npy") as temporary:
            failed = _fill(temporary, archive, wanted, size, fit, progress)
        if not failed:
            break
        unreadable += failed
        names = {picture.file_name for picture in failed}
        wanted = [image for image in wanted if image["file_name"] not in names]
    write_json(folder / f"{split}.json", {"ids": [image["id"] for image in wanted]})
    return unreadable


def _fill(
    target: Path, archive: Archive, images: Sequence[ImageRecord], size: int, fit: Fit, progress: Progress
) -> list[Unreadable]:
    pixels = _create(target, (len(images), size, size, 3))

    def convert(row: int) -> Unreadable | None:
        name = images[row]["file_name"]
        try:
            pixels[row] = resize(decode(archive.read(name), name), size, fit).numpy()
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
    except (OSError, ValueError) as error:
        raise CapflowError(f"{path}: cannot be mapped ({error}); delete it and run `dvc repro`.") from None
    if array.dtype != dtype or len(array) != rows:
        found = f"{array.dtype} {list(array.shape)}"
        raise CapflowError(f"{path}: holds {found}, not {rows} rows of {dtype}; run `dvc repro` again.")
    return array
