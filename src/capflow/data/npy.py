"""Arrays of .npy files, memory-mapped."""

import tokenize
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def mapped(path: Path, *, empty: bool = False) -> NDArray[Any]:
    """Memory-map the array of a .npy file, but for one that is ``empty``, which cannot be mapped.

    Raises:
        OSError: the file is not there, or cannot be read.
        ValueError: it is damaged.
    """
    try:
        found: NDArray[Any] = np.load(path, mmap_mode=None if empty else "r", allow_pickle=False)
    except (SyntaxError, tokenize.TokenError, EOFError, TypeError, OverflowError) as error:
        # NumPy reads headers with Python's own parser, and lets through what that says.
        raise ValueError(f"its header is damaged: {error}") from None
    return found
