"""Count the words of the training captions, and encode all captions: data/annotations to data/vocab."""

import logging

import numpy as np

from capflow.data import annotations
from capflow.data.captions import EncodedCaptions
from capflow.files import write_json, write_text
from capflow.params import SPLITS, Split, load_params
from capflow.project import ANNOTATIONS, METRICS, VOCAB
from capflow.text.vocabulary import Vocabulary
from stages import run

logger = logging.getLogger(__name__)


def main() -> None:
    """Run the stage."""
    params = load_params().vocab
    splits = {split: annotations.read(ANNOTATIONS / f"{split}.json").annotations for split in SPLITS}
    training = (annotation["caption"] for annotation in splits["train"])
    vocabulary = Vocabulary.from_captions(training, params.threshold, punctuation=params.punctuation)
    write_text(VOCAB / "vocab.json", vocabulary.to_json())
    encoded = {split: EncodedCaptions.encode(captions, vocabulary) for split, captions in splits.items()}
    for split, captions in encoded.items():
        captions.save(VOCAB / split)
    write_json(METRICS / "vocab.json", summary(vocabulary, encoded), indent=2)
    logger.info("%d words", len(vocabulary))


def summary(vocabulary: Vocabulary, encoded: dict[Split, EncodedCaptions]) -> dict[str, object]:
    """Size, how many training captions have how many words, and the share of unknown words."""
    words, counts = np.unique(encoded["train"].lengths - 2, return_counts=True)
    return {
        "size": len(vocabulary),
        "unknown_share": {split: round(captions.unknown_share(), 6) for split, captions in encoded.items()},
        "train_lengths": {
            str(length): count for length, count in zip(words.tolist(), counts.tolist(), strict=True)
        },
    }


if __name__ == "__main__":
    run(main)
