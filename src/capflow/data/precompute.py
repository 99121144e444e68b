"""Pictures decoded and resized once: one memory map of pixels for each split."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from capflow.data.ahead import in_order
from capflow.data.annotations import ImageRecord
from capflow.data.pictures import Pixels, decode
from capflow.data.resize import Fit, resize
from capflow.data.sources import Missing
from capflow.errors import CapflowError
from capflow.files import replacing, reserve, write_json

Pictures = Mapping[str, Callable[[], bytes]]
"""What gives a picture's bytes, by file name, as :func:`capflow.data.archives.pictures_in` has it."""
Progress = Callable[[Iterable[ImageRecord], int], Iterable[ImageRecord]]


def write(
    folder: Path,
    split: str,
    pictures: Pictures,
    images: Sequence[ImageRecord],
    size: int,
    fit: Fit,
    progress: Progress,
) -> list[Missing]:
    """Decode and resize all pictures of a split, on all cores, into ``<split>.npy`` and ``<split>.json``.

    Pictures that are not there, or cannot be read, have no row.

    Returns:
        The pictures that could not be read.
    """
    wanted = [image for image in images if image["file_name"] in pictures]
    damaged: list[Missing] = []
    # Rows are written in place, so a picture that turns out to be damaged means another pass without
    # it: rare, and cheaper than decoding each picture twice.
    while True:
        with replacing(folder / f"{split}.npy") as temporary:
            failed = _fill(temporary, pictures, wanted, size, fit, progress)
        if not failed:
            break
        damaged += failed
        names = {failure.file_name for failure in failed}
        wanted = [image for image in wanted if image["file_name"] not in names]
    write_json(folder / f"{split}.json", {"ids": [image["id"] for image in wanted]})
    return damaged


def _fill(
    target: Path, pictures: Pictures, images: Sequence[ImageRecord], size: int, fit: Fit, progress: Progress
) -> list[Missing]:
    pixels = _create(target, (len(images), size, size, 3))

    def convert(row: int) -> Missing | None:
        name = images[row]["file_name"]
        try:
            pixels[row] = resize(decode(pictures[name](), name), size, fit).numpy()
        except CapflowError as error:
            return Missing(name, str(error))
        return None

    results = in_order(convert, range(len(images)))
    return [result for _, result in zip(progress(images, len(images)), results, strict=True) if result]


def _create(target: Path, shape: tuple[int, ...]) -> Pixels:
    """A memory-mapped .npy file; NumPy cannot map an empty one, so that is an ordinary array."""
    if 0 in shape:
        empty = np.zeros(shape, np.uint8)
        with target.open("wb") as stream:
            np.save(stream, empty, allow_pickle=False)
        return empty
    pixels = np.lib.format.open_memmap(target, "w+", np.uint8, shape)
    reserve(target)
    return pixels
