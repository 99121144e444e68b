"""What the benchmarks read: real photographs and captions where there are some, else generated ones.

`CAPFLOW_BENCH_DATA` names a folder with photographs (`*.jpg`, in any folder below) and with COCO captions
(`captions_*.json`).
"""

import io
import os
from pathlib import Path

import numpy as np
from PIL import Image

_SOME = 250


def photographs() -> tuple[list[bytes], str]:
    """Up to 250 JPEGs, and where they come from."""
    folder = os.environ.get("CAPFLOW_BENCH_DATA")
    paths = sorted(Path(folder).rglob("*.jpg"))[:_SOME] if folder else []
    if paths:
        return [path.read_bytes() for path in paths], f"photographs below {Path(paths[0]).parents[1].name}"
    random = np.random.default_rng(0)
    return [jpeg(random, 640, 480) for _ in range(_SOME)], "smooth noise, 640x480"


def jpeg(random: np.random.Generator, width: int, height: int) -> bytes:
    """Smooth noise, so many pixels wide and high."""
    coarse = Image.fromarray(random.integers(0, 256, (height // 8, width // 8, 3), np.uint8))
    stream = io.BytesIO()
    coarse.resize((width, height), Image.Resampling.BICUBIC).save(stream, "JPEG", quality=90)
    return stream.getvalue()
