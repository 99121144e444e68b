"""The models that caption whole splits together, and what each sees of the artifacts under data/."""

from collections.abc import Sequence

import torch

from capflow import project
from capflow.data import tensors
from capflow.errors import CapflowError
from capflow.models.captioner import Captioner
from capflow.models.ensemble import load_models
from capflow.models.inputs import EncodedPixels, Inputs, Views
from capflow.params import Params, Split
from capflow.text.vocabulary import Vocabulary
from capflow.training.artifacts import open_pictures


def open_models(params: Params, device: torch.device) -> tuple[list[Captioner], Vocabulary]:
    """The trained model, those of ``generate.models`` that speak along, and their vocabulary.

    Raises:
        CapflowError: one is missing or damaged, or does not fit the vocabulary or the tensors.
    """
    folders = [project.MODEL, *(project.ENSEMBLE / name for name in params.generate.models)]
    models, vocabulary = load_models(folders, device)
    for folder, model in zip(folders, models, strict=True):
        wanted = model.config.tensors
        if wanted != params.tensors:
            raise CapflowError(
                f"{folder}: this model is for pictures of size {wanted.size} with fit {wanted.fit}, and "
                f"data/tensors has size {params.tensors.size} with fit {params.tensors.fit}; take it out of "
                "`generate.models`, or train it again."
            )
    return models, vocabulary


def open_views(split: Split, params: Params, models: Sequence[Captioner]) -> tuple[list[int], Views]:
    """The image ids of a split, and what each model sees of its pictures, row by row.

    The first sees what was stored for it, features or tensors; any other sees what one before it with the
    very same encoder sees, or, where there is none, the tensors through its own.
    """
    ids, inputs = open_pictures(split, params, models[0])
    pixels = tensors.read(project.TENSORS, split).pixels
    device = next(models[0].parameters()).device
    views: list[Inputs] = [inputs]
    for place, model in enumerate(models[1:], 1):
        alike = (view for view, other in zip(views, models[:place], strict=True) if model.sees_like(other))
        views.append(next(alike, EncodedPixels(pixels, model, device)))
    return ids, Views(*views)
