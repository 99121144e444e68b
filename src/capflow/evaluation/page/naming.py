"""What the scores are called on a page, and what they say in plain language; in the order of the page."""

from collections.abc import Iterable

_SCORES = {
    "truth": ("Truth", "Share of captions in which every statement is true of the picture."),
    "truth_unseen": ("Truth, unseen", "The same for colours and shapes that training never showed together."),
    "CIDEr": ("CIDEr", "Agreement with the human captions, where telling words count more. May exceed 1."),
    "Bleu_4": ("BLEU-4", "Share of runs of up to four words that also stand in a human caption."),
    "METEOR": (
        "METEOR",
        "Words in common, their stems and synonyms included, and how well they are in order.",
    ),
    "ROUGE_L": ("ROUGE-L", "Longest sequence of words in common with a human caption, gaps allowed."),
    "SPICE": ("SPICE", "Objects, attributes and relations in common with the human captions."),
    "Bleu_1": ("BLEU-1", "Share of words that also stand in a human caption."),
    "Bleu_2": ("BLEU-2", "Share of runs of up to two words that also stand in a human caption."),
    "Bleu_3": ("BLEU-3", "Share of runs of up to three words that also stand in a human caption."),
}


def label(name: str) -> str:
    """What people call a score of pycocoevalcap's, or one of ours."""
    return _SCORES.get(name, (name, ""))[0]


def explanation(name: str) -> str:
    """What it says, if we know it."""
    return _SCORES.get(name, ("", ""))[1]


def ordered(names: Iterable[str]) -> list[str]:
    """Scores in the order of a page, those that nobody knows last."""
    there = set(names)
    return [name for name in _SCORES if name in there] + sorted(there - _SCORES.keys())
