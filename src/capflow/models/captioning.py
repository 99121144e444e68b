"""Captions as text: the search, run over many pictures, and its words."""

from collections.abc import Sequence

import numpy as np
import torch

from capflow.models.captioner import Captioner
from capflow.models.generate import Search, generate
from capflow.models.inputs import Inputs
from capflow.params import GenerateParams
from capflow.text.vocabulary import END, PAD, START, UNK, Vocabulary


def search_of(params: GenerateParams) -> Search:
    """The search that the parameters ask for; padding, start and unknown words are never said."""
    return Search(
        start=START,
        end=END,
        barred=(PAD, START, UNK),
        beam=params.beam,
        max_length=params.max_length,
        length_penalty=params.length_penalty,
    )


@torch.inference_mode()
def write_captions(
    model: Captioner, ids: Sequence[int], inputs: Inputs, vocabulary: Vocabulary, params: GenerateParams
) -> dict[int, str]:
    """The caption of each picture, by image id.

    Args:
        model: in evaluation mode.
        ids: int [N], the image id of each row of ``inputs``.
        inputs: what the decoder sees of the pictures.
        vocabulary: the model's own.
        params: how to search, and how many pictures at a time.
    """
    captions: dict[int, str] = {}
    search = search_of(params)
    for start in range(0, len(ids), params.batch_size):
        chosen = ids[start : start + params.batch_size]
        tokens, _ = generate(model.decoder, inputs(np.arange(start, start + len(chosen))), search)
        captions |= zip(chosen, map(vocabulary.decode, tokens.tolist()), strict=True)
    return captions
