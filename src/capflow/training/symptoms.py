"""What captions tell of a model that has not learnt what it should."""

from collections.abc import Collection

import torch
from torch import Tensor

# Words that a caption does not end with; models that were rewarded for n-grams alone do it.
_UNFINISHED = (
    {"a", "an", "the", "his", "her", "its", "their", "this", "that", "some", "and", "or", "but", "while"}
    | {"of", "on", "in", "at", "to", "with", "by", "from", "for", "near", "as", "is", "are", "it"}
)  # fmt: skip

# Rewards may bring about the same, and then at their own rate.
_REWARDED = " (after rewards: lower train.self_critical.lr, or take fewer of its epochs)"


def bad_endings(captions: Collection[str]) -> float:
    """The share of captions that break off after an article, a preposition or the like.

    What ends a sentence is no word, where `vocab.punctuation` has it said.
    """
    broken = sum(caption.rstrip(" .,;:!?").rpartition(" ")[2] in _UNFINISHED for caption in captions)
    return broken / max(1, len(captions))


def symptom(captions: Collection[str], features: Tensor, max_length: int) -> str:
    """What is wrong with all captions together and the likely cause, or nothing.

    Args:
        captions: of different pictures.
        features: float [P, cells, channels], what the decoder sees of some of these.
        max_length: the most words that a caption may have.
    """
    lengths = {len(caption.split()) for caption in captions}
    if len(captions) < 2 or len(lengths) > 1:
        return ""
    if len(set(captions)) == 1:
        said = next(iter(captions))
        return f"every validation picture gets the same caption ({said!r}); {_blind(features)}."
    length = next(iter(lengths))
    if length == max_length:
        return (
            f"every validation caption is cut at generate.max_length ({length} words), as no end is said; "
            f"train longer, or check that captions in data/vocab end{_REWARDED}."
        )
    return (
        f"all validation captions have {length} words; training has seen too few captions of other lengths, "
        f"or too little of them: train longer, or lower train.lr{_REWARDED}."
    )


def _blind(features: Tensor) -> str:
    """Why a decoder may not see pictures."""
    values = features.float()
    if len(values) > 1 and bool(values.std(0).mean() < 1e-3 * values.std().clamp(min=torch.finfo().tiny)):
        return (
            "the encoder sees no difference between pictures, as one without weights does: "
            "check encoder.weights, or train the encoder (encoder.trainable)"
        )
    return (
        "the decoder does not look at the picture: lower train.lr, train longer, or set decoder.batch_norm"
        + _REWARDED
    )
