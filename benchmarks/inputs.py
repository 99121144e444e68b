"""What the benchmarks read: real photographs and captions where there are some, else generated ones.

`CAPFLOW_BENCH_DATA` names a folder with photographs (`*.jpg`, in any folder below) and with COCO captions
(`captions_val2017.json`). Not a benchmark.
"""

import io
import os
from pathlib import Path

import numpy as np
from PIL import Image

from capflow.data import annotations
from capflow.data.annotations import Annotations
from capflow.data.sources.scenes import ScenesSource, ScenesSpec

_SOME = 250
_SCENES = 5000


def photographs() -> tuple[list[bytes], str]:
    """Up to 250 JPEGs, and what they are."""
    folder = _folder()
    paths = sorted(folder.rglob("*.jpg"))[:_SOME] if folder else []
    if paths:
        return [path.read_bytes() for path in paths], f"photographs of {paths[0].parents[1].name}"
    random = np.random.default_rng(0)
    return [jpeg(random, 640, 480) for _ in range(_SOME)], "generated pictures, 640x480"


def jpeg(random: np.random.Generator, width: int, height: int) -> bytes:
    """Smooth noise, so many pixels wide and high."""
    coarse = Image.fromarray(random.integers(0, 256, (height // 8, width // 8, 3), np.uint8))
    stream = io.BytesIO()
    coarse.resize((width, height), Image.Resampling.BICUBIC).save(stream, "JPEG", quality=90)
    return stream.getvalue()


def some_captions() -> tuple[Annotations, str]:
    """About 25,000 captions of 5,000 images, and what they are."""
    folder = _folder()
    if folder and (path := folder / "captions_val2017.json").exists():
        return annotations.read(path), "COCO captions"
    spec = ScenesSpec(kind="scenes", captions="all", seed=0, train=_SCENES, val=1, test=1, size=32)
    return ScenesSource(spec).annotations()["train"], "generated captions"


def to_score() -> tuple[dict[int, list[str]], dict[int, str], str]:
    """Five references of each image, by ascending id, something to score, and what they are.

    What is scored begins as the image's first caption does, and ends as another image's.
    """
    split, origin = some_captions()
    references = {image: captions[:5] for image, captions in sorted(split.captions_of().items())}
    predictions = {}
    for (image, own), other in zip(references.items(), [*references.values()][::-1], strict=True):
        begin, end = own[0].split(), other[-1].split()
        predictions[image] = " ".join(begin[: len(begin) // 2] + end[len(end) // 2 :])
    return references, predictions, origin


def _folder() -> Path | None:
    name = os.environ.get("CAPFLOW_BENCH_DATA")
    return Path(name) if name else None
