"""The words that a model knows, each with a number."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from capflow.errors import CapflowError
from capflow.files import read_json
from capflow.text.tokenise import tokenise

PAD, START, END, UNK = range(4)
SPECIALS = ("<pad>", "<start>", "<end>", "<unk>")


@dataclass(frozen=True)
class Vocabulary:
    """Words by number, and how captions become words.

    Attributes:
        words: the specials, then words by falling count, equal counts by alphabet.
        punctuation: whether punctuation marks are words.
    """

    words: tuple[str, ...]
    punctuation: bool

    @classmethod
    def from_captions(cls, captions: Iterable[str], threshold: int, *, punctuation: bool) -> "Vocabulary":
        """Count the words of the training captions and keep those seen at least ``threshold`` times."""
        counts = Counter(word for text in captions for word in tokenise(text, punctuation=punctuation))
        return cls.from_counts(counts, threshold, punctuation=punctuation)

    @classmethod
    def from_counts(cls, counts: Mapping[str, int], threshold: int, *, punctuation: bool) -> "Vocabulary":
        """Keep the words that were counted at least ``threshold`` times."""
        kept = sorted((-count, word) for word, count in counts.items() if count >= threshold)
        words = [word for _, word in kept if word not in SPECIALS]
        return cls((*SPECIALS, *words), punctuation)

    def __len__(self) -> int:
        """How many words there are, the specials included."""
        return len(self.words)

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The number of each word."""
        return {word: number for number, word in enumerate(self.words)}

    def encode(self, caption: str) -> list[int]:
        """The start token, the number of each word, the end token."""
        words = tokenise(caption, punctuation=self.punctuation)
        return [START, *(self.numbers.get(word, UNK) for word in words), END]

    def decode(self, tokens: Sequence[int]) -> str:
        """The words up to the end token, joined by spaces; the other specials are left out."""
        ended = tokens[: tokens.index(END)] if END in tokens else tokens
        return " ".join(self.words[token] for token in ended if token not in {PAD, START, UNK})

    def to_json(self) -> str:
        """As JSON, one word a line."""
        content = {"punctuation": self.punctuation, "words": self.words}
        return json.dumps(content, ensure_ascii=False, indent=0) + "\n"

    @classmethod
    def read(cls, path: Path) -> "Vocabulary":
        """Read what :meth:`to_json` gave.

        Raises:
            CapflowError: the file is missing or is not a vocabulary.
        """
        content: Any = read_json(path)
        words = content.get("words") if isinstance(content, dict) else None
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise CapflowError(f"{path}: not a vocabulary of Capflow's; run `dvc repro` to make it again.")
        if tuple(words[:4]) != SPECIALS or len(set(words)) != len(words):
            raise CapflowError(f"{path}: the specials are missing or a word is there twice; make it again.")
        return cls(tuple(words), bool(content.get("punctuation")))
