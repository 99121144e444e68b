"""Large arrays in .npy files whose rows several processes write, each in its place."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from capflow.files import replacing, reserve
from capflow.processes import ALONE, Processes


class Rows:
    """A .npy file of full size; threads and processes may write rows of it at the same time.

    Rows are written, not mapped: so machines that share the file over a network do not overwrite the ends
    of each other's rows, and a full disk is an error and not the end of the process.
    """

    def __init__(self, path: Path, start: int, dtype: DTypeLike, shape: tuple[int, ...]) -> None:
        """Open a file, in which an array of ``dtype`` and ``shape`` lies from the byte ``start`` on."""
        self._start, self._dtype = start, np.dtype(dtype)
        self._size = self._dtype.itemsize * int(np.prod(shape[1:]))
        self._file = os.open(path, os.O_WRONLY)

    def put(self, first: int, values: NDArray[Any]) -> None:
        """Write rows, of which the first is number ``first``.

        Raises:
            OSError: the disk is full, or refuses.
        """
        content = memoryview(np.ascontiguousarray(values, self._dtype).tobytes())
        place = self._start + first * self._size
        while content:
            done = os.pwrite(self._file, content, place)
            content, place = content[done:], place + done

    def close(self) -> None:
        """Have everything on the disk, where other machines find it."""
        os.fsync(self._file)
        os.close(self._file)


@contextmanager
def new_rows(
    target: Path, dtype: DTypeLike, shape: tuple[int, ...], processes: Processes = ALONE
) -> Iterator[Rows]:
    """Within the block, a file to write rows to; it takes its place when all processes have ended theirs."""
    if processes.first:
        with replacing(target) as temporary:
            start = _create(temporary, dtype, shape)
            processes.told((str(temporary), start))
            yield from _opened(temporary, start, dtype, shape, processes)
        return
    name, begin = processes.told(("", 0))
    yield from _opened(Path(name), begin, dtype, shape, processes)


def _opened(
    path: Path, start: int, dtype: DTypeLike, shape: tuple[int, ...], processes: Processes
) -> Iterator[Rows]:
    file = Rows(path, start, dtype, shape)
    try:
        yield file
    finally:
        file.close()
    processes.largest(0)  # all have ended theirs


def _create(path: Path, dtype: DTypeLike, shape: tuple[int, ...]) -> int:
    """Make a file of full size; where its rows begin."""
    with path.open("wb") as stream:
        kind = np.lib.format.dtype_to_descr(np.dtype(dtype))
        header = {"descr": kind, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(stream, header)
        start = stream.tell()
        stream.truncate(start + np.dtype(dtype).itemsize * int(np.prod(shape)))
    reserve(path)
    return start
