"""Decode and resize every picture once: data/images to data/tensors."""

import logging
from collections.abc import Mapping
from itertools import chain

import torch

from capflow import project
from capflow.data import annotations, precompute
from capflow.data.archives import pictures_in
from capflow.data.sources import Missing, missing_table
from capflow.errors import CapflowError
from capflow.files import write_json, write_text
from capflow.joining import together
from capflow.params import SPLITS, Split, TensorParams, load_params
from capflow.processes import Processes
from stages import progress, run

logger = logging.getLogger(__name__)


def main() -> None:
    """Run the stage."""
    torch.set_num_threads(1)  # pictures are resized side by side, each by one thread
    with together() as processes:
        params = load_params()
        written = {split: _write(split, params.tensors, processes) for split in SPLITS}
        if processes.first:
            report(written, params.data.max_missing)


def report(written: Mapping[Split, tuple[int, list[Missing]]], limit: float) -> None:
    """Say which pictures are left out; of each split, how many were wanted, and which are damaged."""
    damaged = {split: pictures for split, (_, pictures) in written.items()}
    write_text(project.DAMAGED, missing_table(damaged))
    counts = {split: len(pictures) for split, pictures in damaged.items()}
    write_json(project.METRICS / "tensors.json", {"damaged": counts}, indent=2)
    wanted = sum(number for number, _ in written.values())
    _judge(list(chain(*damaged.values())), wanted, limit)


def _write(split: Split, params: TensorParams, processes: Processes) -> tuple[int, list[Missing]]:
    """How many pictures the annotations of a split name, and those of them that cannot be read."""
    images = annotations.read_images(project.ANNOTATIONS / f"{split}.json")
    with pictures_in(project.IMAGES / f"{split}.zip") as pictures:
        bar = progress(f"resize {split}")
        return len(images), precompute.write(
            project.TENSORS, split, pictures, images, params.size, params.fit, bar, processes
        )


def _judge(damaged: list[Missing], wanted: int, limit: float) -> None:
    """Damaged pictures are left out; too many of them are an error."""
    for picture in damaged:
        logger.warning("left out: %s", picture.reason)
    if len(damaged) > limit * wanted:
        raise CapflowError(
            f"{project.DAMAGED}: {len(damaged)} of {wanted} pictures cannot be read, for the reasons given "
            f"there; replace them, or raise `data.max_missing` (now {limit:g})."
        )


if __name__ == "__main__":
    run(main, together=True)
