"""Captions that the benchmarks read: COCO's where there are some, else those of generated scenes.

`CAPFLOW_BENCH_DATA` names a folder with COCO captions, such as `captions_val2017.json`. Not a benchmark.
"""

import os
from pathlib import Path

from capflow.data import annotations
from capflow.data.annotations import Annotations
from capflow.data.sources.scenes import ScenesSource, ScenesSpec

_IMAGES = 5000


def some_captions() -> tuple[Annotations, str]:
    """About 25,000 captions of 5,000 images, and where they come from."""
    path = Path(os.environ.get("CAPFLOW_BENCH_DATA", "."), "captions_val2017.json")
    if path.exists():
        return annotations.read(path), path.name
    spec = ScenesSpec(kind="scenes", captions="all", seed=0, train=_IMAGES, val=1, test=1, size=32)
    return ScenesSource(spec).annotations()["train"], "captions of generated scenes"


def to_score() -> tuple[dict[int, list[str]], dict[int, str], str]:
    """Five references of each image, by ascending id, something to score, and where they come from.

    What is scored begins as the image's first caption does, and ends as another image's.
    """
    split, origin = some_captions()
    references = {image: captions[:5] for image, captions in sorted(split.captions_of().items())}
    predictions = {}
    for (image, own), other in zip(references.items(), [*references.values()][::-1], strict=True):
        begin, end = own[0].split(), other[-1].split()
        predictions[image] = " ".join(begin[: len(begin) // 2] + end[len(end) // 2 :])
    return references, predictions, f"{len(references)} images, {origin}"
