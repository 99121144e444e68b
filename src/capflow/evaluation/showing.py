"""Pictures of a split with their captions, to look at."""

import random
from pathlib import Path

from capflow import project
from capflow.data import annotations
from capflow.data.archives import pictures_in
from capflow.data.pictures import decode
from capflow.errors import CapflowError
from capflow.evaluation.grid import draw_grid
from capflow.evaluation.results import read_results
from capflow.params import Split


def draw_split(root: Path, split: Split, count: int, seed: int, *, predictions: bool) -> bytes:
    """Draw some pictures of a split with their captions.

    Args:
        root: the checkout.
        split: which pictures.
        count: how many, at most.
        seed: decides which.
        predictions: whether to write the generated captions below, not people's.

    Returns:
        A PNG.

    Raises:
        CapflowError: there are none, or a file is missing or damaged.
    """
    part = annotations.read(root / project.ANNOTATIONS / f"{split}.json")
    captions = part.captions_of()
    if predictions:
        generated = read_results(root / project.PREDICTIONS / f"{split}.json")
        captions = {image: [caption] for image, caption in generated.items()}
    archive = root / project.IMAGES / f"{split}.zip"
    with pictures_in(archive) as pictures:
        names = {image["file_name"]: captions.get(image["id"]) for image in part.images}
        known = [name for name, said in names.items() if said is not None and name in pictures]
        if not known:
            raise CapflowError(f"{archive}: {split} has no pictures to show; try val.")
        chosen = random.Random(seed).sample(known, min(count, len(known)))
        cells = [(decode(pictures[name](), name), names[name] or []) for name in chosen]
    return draw_grid(cells, columns=min(3, len(cells)))
