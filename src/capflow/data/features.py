"""Features of a frozen encoder: one float16 memory map a split, so that each picture is encoded once."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from capflow.data.rows import new_rows
from capflow.data.tensors import Tensors, read_rows
from capflow.processes import ALONE, Processes

Features = NDArray[np.float16]
Progress = Callable[[Iterable[int], int], Iterable[int]]


def write(
    path: Path,
    tensors: Tensors,
    encode: Callable[[Tensor], Tensor],
    *,
    views: Callable[[Tensor, int], Sequence[Tensor]],
    batch_size: int,
    progress: Progress,
    processes: Processes = ALONE,
) -> None:
    """Encode all pictures of a split.

    Args:
        path: the .npy file to write, float16 [N, views, cells, channels].
        tensors: the pictures.
        encode: uint8 [B, size, size, 3] to float [B, cells, channels].
        views: what is encoded of pictures, uint8 [B, size, size, 3], whose rows begin with a number: as many
            views of each, the first the picture itself.
        batch_size: pictures encoded at a time.
        progress: wraps the starts of the batches, given the number of batches.
        processes: those that do it together, each a share of the batches.
    """
    rows = len(tensors.ids)
    blank = torch.zeros(1, *tensors.pixels.shape[1:], dtype=torch.uint8)
    count = len(views(torch.from_numpy(np.array(tensors.pixels[:1])), 0)) if rows else 1
    shape = (rows, count, *encode(blank).shape[1:])
    with new_rows(path, np.float16, shape, processes) as file:
        starts = range(0, rows, batch_size)
        own = processes.part(starts)
        for start in progress(processes.in_step(own, len(starts)), len(own)):
            pixels = torch.from_numpy(np.array(tensors.pixels[start : start + batch_size]))
            file.put(start, np.stack([_half(encode(view)) for view in views(pixels, start)], 1))


def _half(features: Tensor) -> Features:
    halves: Features = features.to(torch.float16).cpu().numpy()
    return halves


def read(folder: Path, split: str, rows: int) -> Features:
    """Open the features of one split.

    Raises:
        CapflowError: the file is missing, damaged, or of another number of rows.
    """
    return read_rows(folder / f"{split}.npy", np.dtype(np.float16), rows)
