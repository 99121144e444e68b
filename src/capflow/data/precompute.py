"""Pictures decoded and resized once: one memory map of pixels for each split."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from capflow.data.ahead import in_order
from capflow.data.annotations import ImageRecord
from capflow.data.pictures import decode
from capflow.data.resize import Fit, resize
from capflow.data.rows import Rows, new_rows
from capflow.data.sources import Missing
from capflow.errors import CapflowError
from capflow.files import write_json
from capflow.processes import ALONE, Processes

Pictures = Mapping[str, Callable[[], bytes]]
"""What gives a picture's bytes, by file name, as :func:`capflow.data.archives.pictures_in` has it."""
Progress = Callable[[Iterable[ImageRecord], int], Iterable[ImageRecord]]
# So many pictures are resized, a few seconds' work at most, before processes look after each other.
_IN_STEP = 16


def write(
    folder: Path,
    split: str,
    pictures: Pictures,
    images: Sequence[ImageRecord],
    size: int,
    fit: Fit,
    progress: Progress,
    processes: Processes = ALONE,
) -> list[Missing]:
    """Decode and resize all pictures of a split, on all cores, into ``<split>.npy`` and ``<split>.json``.

    Pictures that are not there, or cannot be read, have no row. Each of ``processes`` makes some of the
    rows.

    Returns:
        The pictures that could not be read.
    """
    wanted = [image for image in images if image["file_name"] in pictures]
    damaged: list[Missing] = []
    # Rows are written in place, so a picture that turns out to be damaged means another pass without
    # it: rare, and cheaper than decoding each picture twice.
    while True:
        with new_rows(folder / f"{split}.npy", np.uint8, (len(wanted), size, size, 3), processes) as file:
            own = _fill(file, pictures, wanted, size, fit, progress, processes)
        failed = [Missing(*found) for each in processes.gathered(own) for found in each]
        if not failed:
            break
        damaged += failed
        names = {failure.file_name for failure in failed}
        wanted = [image for image in wanted if image["file_name"] not in names]
    if processes.first:
        write_json(folder / f"{split}.json", {"ids": [image["id"] for image in wanted]})
    return damaged


def _fill(
    file: Rows,
    pictures: Pictures,
    images: Sequence[ImageRecord],
    size: int,
    fit: Fit,
    progress: Progress,
    processes: Processes,
) -> list[Missing]:
    def convert(row: int) -> Missing | None:
        name = images[row]["file_name"]
        try:
            file.put(row, resize(decode(pictures[name](), name), size, fit).numpy())
        except CapflowError as error:
            return Missing(name, str(error))
        return None

    results = in_order(convert, processes.part(range(len(images))))
    own = processes.part(images)
    shown = progress(processes.in_step(own, len(images), _IN_STEP), len(own))
    return [result for _, result in zip(shown, results, strict=True) if result]
