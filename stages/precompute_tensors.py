"""Decode and resize every picture once: data/images to data/tensors."""

import logging

from capflow import project
from capflow.data import annotations, tensors
from capflow.data.archives import pictures_in
from capflow.errors import CapflowError
from capflow.files import write_json
from capflow.params import SPLITS, load_params
from stages import progress, run

logger = logging.getLogger(__name__)


def main() -> None:
    """Run the stage."""
    params = load_params()
    unreadable: dict[str, list[tensors.Unreadable]] = {}
    wanted = 0
    for split in SPLITS:
        images = annotations.read(project.ANNOTATIONS / f"{split}.json").images
        with pictures_in(project.IMAGES / f"{split}.zip") as pictures:
            unreadable[split] = tensors.write(
                project.TENSORS,
                split,
                pictures,
                images,
                params.tensors.size,
                params.tensors.fit,
                progress(f"resize {split}"),
            )
        wanted += len(images)
    everything = [picture for pictures in unreadable.values() for picture in pictures]
    _judge(everything, wanted, params.data.max_missing)
    counts = {split: len(pictures) for split, pictures in unreadable.items()}
    write_json(project.METRICS / "tensors.json", {"unreadable": counts}, indent=2)


def _judge(unreadable: list[tensors.Unreadable], wanted: int, limit: float) -> None:
    """Damaged pictures are left out; too many of them are an error."""
    for picture in unreadable:
        logger.warning("left out: %s", picture.reason)
    if len(unreadable) > limit * wanted:
        raise CapflowError(
            f"data/images: {len(unreadable)} of {wanted} pictures cannot be read, the first is "
            f"{unreadable[0].file_name}; replace them, or raise `data.max_missing` (now {limit:g})."
        )


if __name__ == "__main__":
    run(main)
