"""What ``capflow show`` draws: pictures of a split with their captions, or one picture word by word."""

import random
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from capflow import project
from capflow.data import annotations
from capflow.data.archives import pictures_in
from capflow.data.pictures import Pixels, decode
from capflow.errors import CapflowError
from capflow.evaluation.grid import draw_grid
from capflow.evaluation.overlays import View, fogged
from capflow.evaluation.results import read_results
from capflow.params import Split

# In pixels, of a picture that is drawn word by word; and how many there are in a row.
_SIDE, _COLUMNS = 320, 5


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


def draw_words(pixels: Pixels, view: View, words: Sequence[str], maps: Iterable[ArrayLike]) -> bytes:
    """Draw a picture with its caption, then once more for each word, clear where the model looked.

    Args:
        pixels: uint8 RGB [height, width, 3].
        view: the part that the model sees; that alone is drawn.
        words: the words of the caption.
        maps: for each word the weights of places, [rows, columns].

    Returns:
        A PNG, the same bytes for the same picture.
    """
    picture = view(pixels, _SIDE)
    cells = [(picture, " ".join(words) or "(no words)")]
    cells += [(fogged(picture, weights), word) for word, weights in zip(words, maps, strict=True)]
    drawn = [(np.asarray(image), [text]) for image, text in cells]
    return draw_grid(drawn, min(_COLUMNS, len(drawn)))
