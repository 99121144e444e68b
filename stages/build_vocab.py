"""Number the words: data/annotations to data/vocab, the vocabulary and all captions encoded.

Only captions of pictures that have a row in data/tensors count.
"""

import logging
from collections import Counter
from typing import Any

import numpy as np

from capflow import project
from capflow.data import tensors
from capflow.data.captions import EncodedCaptions, TokenisedCaptions, tokenise_all
from capflow.errors import CapflowError
from capflow.files import write_json, write_text
from capflow.params import SPLITS, Split, VocabParams, load_params
from capflow.text.vocabulary import UNK, Vocabulary
from stages import run

logger = logging.getLogger(__name__)
# Of Flickr8k's and COCO's words a twentieth and less are as rare.
_MANY = 0.1


def main() -> None:
    """Run the stage."""
    params = load_params().vocab
    train = _tokenise("train", params)
    vocabulary = _vocabulary(train, params)
    write_text(project.VOCAB / "vocab.json", vocabulary.to_json())
    encoded = {}
    for split in SPLITS:
        captions = train if split == "train" else _tokenise(split, params)
        encoded[split] = EncodedCaptions.encode(captions, vocabulary)
        encoded[split].save(project.VOCAB / split)
    figures = _figures(vocabulary, encoded)
    _warn_of_rare_words(figures["unknown"]["train"], params.threshold)
    write_json(project.METRICS / "vocab.json", figures, indent=2)


def _warn_of_rare_words(share: float, threshold: int) -> None:
    """Say that much of what captions say will not be learnt, as where photographs are few."""
    if share > _MANY:
        logger.warning(
            "%.0f %% of the words in the captions of train stand there fewer than %d times and will never be "
            "said: lower vocab.threshold, or write more captions.",
            100 * share,
            threshold,
        )


def _tokenise(split: Split, params: VocabParams) -> TokenisedCaptions:
    captions = tokenise_all(tensors.described(split), punctuation=params.punctuation)
    if split != "test" and not captions.tokens:
        raise CapflowError(
            f"{project.ANNOTATIONS / f'{split}.json'}: no picture that is there has a caption with a word; "
            f"see {project.MISSING} and {project.DAMAGED}, or choose another data set."
        )
    return captions


def _vocabulary(captions: TokenisedCaptions, params: VocabParams) -> Vocabulary:
    counts = Counter(captions.tokens)
    return Vocabulary.from_counts(counts, threshold=params.threshold, punctuation=params.punctuation)


def _figures(vocabulary: Vocabulary, encoded: dict[Split, EncodedCaptions]) -> dict[str, Any]:
    """Size, share of unknown words by split, and training captions by their number of words, from 0 on.

    The last is a list, which DVC leaves out of its tables.
    """
    return {
        "size": len(vocabulary),
        "unknown": {split: _unknown(captions) for split, captions in encoded.items() if len(captions)},
        "captions_by_length": np.bincount(encoded["train"].lengths - 2).tolist(),
    }


def _unknown(captions: EncodedCaptions) -> float:
    words = len(captions.tokens) - 2 * len(captions)
    return round(np.count_nonzero(captions.tokens == UNK) / words, 6)


if __name__ == "__main__":
    run(main)
