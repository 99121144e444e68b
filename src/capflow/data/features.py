"""Features of a frozen encoder: one float16 memory map a split, so that each picture is encoded once."""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from capflow.data.tensors import Tensors, read_rows
from capflow.files import replacing, reserve

Features = NDArray[np.float16]
Progress = Callable[[Iterable[int], int], Iterable[int]]


def write(
    path: Path,
    tensors: Tensors,
    encode: Callable[[Tensor], Tensor],
    *,
    mirrored: bool,
    batch_size: int,
    progress: Progress,
) -> None:
    """Encode all pictures of a split.

    Args:
        path: the .npy file to write, float16 [N, views, cells, channels].
        tensors: the pictures.
        encode: uint8 [B, size, size, 3] to float [B, cells, channels].
        mirrored: whether the mirror image is a second view.
        batch_size: pictures encoded at a time.
        progress: wraps the starts of the batches, given the number of batches.
    """
    rows = len(tensors.ids)
    probe = encode(torch.zeros(1, *tensors.pixels.shape[1:], dtype=torch.uint8))
    shape = (rows, 2 if mirrored else 1, *probe.shape[1:])
    with replacing(path) as temporary:
        if not rows:
            with temporary.open("wb") as stream:
                np.save(stream, np.zeros(shape, np.float16), allow_pickle=False)
            return
        features = np.lib.format.open_memmap(temporary, "w+", np.float16, shape)
        reserve(temporary)
        starts = range(0, rows, batch_size)
        for start in progress(starts, len(starts)):
            pixels = torch.from_numpy(np.array(tensors.pixels[start : start + batch_size]))
            features[start : start + batch_size, 0] = _half(encode(pixels))
            if mirrored:
                features[start : start + batch_size, 1] = _half(encode(pixels.flip(2)))
        features.flush()


def _half(features: Tensor) -> Features:
    halves: Features = features.to(torch.float16).cpu().numpy()
    return halves


def read(folder: Path, split: str, rows: int) -> Features:
    """Open the features of one split.

    Raises:
        CapflowError: the file is missing, damaged, or of another number of rows.
    """
    return read_rows(folder / f"{split}.npy", np.dtype(np.float16), rows)
