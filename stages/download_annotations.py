"""Write the captions of the chosen data set as COCO captions JSON, one file for each split."""

import logging

from capflow.data import annotations
from capflow.data.dataset import open_source
from capflow.errors import CapflowError
from capflow.params import load_params
from capflow.project import ANNOTATIONS, SOURCES
from stages import run

logger = logging.getLogger(__name__)


def main() -> None:
    """Read the source, then write data/annotations/{train,val,test}.json."""
    data = load_params().data
    splits = open_source(data).annotations()
    for split in ("train", "val"):
        if not splits[split].annotations:
            raise CapflowError(
                f"{SOURCES / data.name}: the {split} split has no captions; give it some, "
                "or choose another data set."
            )
    if shared := annotations.shared_picture(splits):
        name, first, second = shared
        raise CapflowError(
            f"{SOURCES / data.name}: {name} is in both {first} and {second}, "
            "so that scores would be too good; keep it in one of them."
        )
    for split, part in splits.items():
        annotations.write(ANNOTATIONS / f"{split}.json", part)
        logger.info("%s: %d pictures, %d captions", split, len(part.images), len(part.annotations))
        bare = sum(not captions for captions in part.captions_of().values())
        if bare and part.annotations:
            logger.warning("%s: %d pictures have no caption; nothing is learned from them", split, bare)


if __name__ == "__main__":
    run(main)
