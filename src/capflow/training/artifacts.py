"""What training and captioning read of the artifacts under data/."""

from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray

from capflow import project
from capflow.data import features, tensors
from capflow.data.batches import Batches
from capflow.data.captions import EncodedCaptions
from capflow.errors import CapflowError
from capflow.models.captioner import Captioner
from capflow.models.inputs import AugmentedPixels, EncodedPixels, Inputs, stored_inputs
from capflow.params import Params, Split


def open_pictures(
    split: Split, params: Params, model: Captioner, generator: torch.Generator | None = None
) -> tuple[list[int], Inputs]:
    """The image ids of a split, and what the decoder sees of its pictures, row by row.

    Args:
        split: which pictures.
        params: say whether features are stored, and how training pictures are varied.
        model: encodes pixels where no features are stored.
        generator: draws views, crops and mirror images, as training has them; None: nothing is random.

    Raises:
        CapflowError: an artifact is missing, damaged, or made with other parameters.
    """
    pictures = tensors.read(project.TENSORS, split)
    ids = [int(image) for image in pictures.ids]
    device = next(model.parameters()).device
    if params.stored_features:
        stored = features.read(project.FEATURES, split, len(ids))
        seen = model.config.crop or model.config.tensors.size
        _refuse_others(
            stored, (model.encoder.cells(seen), model.encoder.channels), project.FEATURES / f"{split}.npy"
        )
        return ids, stored_inputs(stored, device, generator)
    size = params.tensors.size
    _refuse_others(pictures.pixels, (size, size, 3), project.TENSORS / f"{split}.npy")
    if generator is None:
        return ids, EncodedPixels(pictures.pixels, model, device)
    return ids, AugmentedPixels(pictures.pixels, model, device, params.train.augment, generator)


def open_batches(split: Split, params: Params) -> Batches:
    """The captions of a split, batch by batch."""
    captions = EncodedCaptions.load(project.VOCAB / split)
    ids = tensors.read(project.TENSORS, split).ids
    return Batches(captions, ids, params.train.batch_size, params.train.batches, params.seed)


def _refuse_others(array: NDArray[Any], shape: tuple[int, ...], path: Path) -> None:
    """Refuse an array whose last dimensions are not these."""
    if array.shape[-len(shape) :] != shape:
        raise CapflowError(
            f"{path}: holds {list(array.shape)}, which does not end in {list(shape)} as the parameters say; "
            "run `dvc repro` again."
        )
