"""The words that a model knows, as numbers."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

from capflow.errors import CapflowError
from capflow.files import read_json

SPECIALS = ("<pad>", "<start>", "<end>", "<unk>")
PAD, START, END, UNK = range(len(SPECIALS))


@dataclass(frozen=True)
class Vocabulary:
    """Words in the order of their ids; the four special words come first.

    Attributes:
        words: ``SPECIALS``, then words by falling count, those of one count in alphabetical order.
        punctuation: whether captions keep punctuation as words when they are tokenised.
    """

    words: tuple[str, ...]
    punctuation: bool

    @classmethod
    def from_counts(cls, counts: Mapping[str, int], *, threshold: int, punctuation: bool) -> "Vocabulary":
        """The words that were seen at least ``threshold`` times in the training captions.

        Raises:
            CapflowError: there is no such word.
        """
        frequent = [word for word, count in counts.items() if count >= threshold]
        if not frequent:
            seen = f"the most frequent of {len(counts)} words is seen {max(counts.values(), default=0)} times"
            raise CapflowError(
                f"params.yaml: vocab.threshold is {threshold}, but {seen} in training; lower it."
            )
        frequent.sort(key=lambda word: (-counts[word], word))
        return cls((*SPECIALS, *frequent), punctuation)

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self.words)}

    def __len__(self) -> int:
        """How many words there are, special ones included."""
        return len(self.words)

    def __contains__(self, word: str) -> bool:
        """Whether the word has an id of its own."""
        return word in self._ids

    def ids(self, tokens: Iterable[str]) -> list[int]:
        """The ids of words; those without one become ``<unk>``."""
        return [self._ids.get(token, UNK) for token in tokens]

    def decode(self, ids: Iterable[int]) -> str:
        """The words up to the first end, joined by spaces, without special ones."""
        words = []
        for number in ids:
            if number == END:
                break
            if number >= len(SPECIALS):
                words.append(self.words[number])
        return " ".join(words)

    def to_json(self) -> str:
        """The vocabulary as it lies on disk, one word a line."""
        content = {"punctuation": self.punctuation, "words": self.words}
        return json.dumps(content, ensure_ascii=False, indent=0) + "\n"

    @classmethod
    def read(cls, path: Path) -> "Vocabulary":
        """Read a vocabulary.

        Raises:
            CapflowError: the file is missing or not a vocabulary; names the first wrong word.
        """
        return _parse(read_json(path), path)


def _parse(content: Any, origin: Path) -> Vocabulary:
    if not isinstance(content, dict) or content.keys() != {"punctuation", "words"}:
        _fail(origin, "not a mapping with exactly the keys `punctuation` and `words`")
    punctuation, words = content["punctuation"], content["words"]
    if not isinstance(punctuation, bool):
        _fail(origin, f"`punctuation` is {punctuation!r}, not true or false")
    if not isinstance(words, list) or tuple(words[: len(SPECIALS)]) != SPECIALS:
        _fail(origin, f"`words` is not a list that begins with {', '.join(SPECIALS)}")
    seen: set[str] = set()
    for index, word in enumerate(words):
        if not isinstance(word, str) or word.split() != [word]:
            _fail(origin, f"words[{index}] is {word!r}, not a word")
        if word in seen:
            _fail(origin, f"words[{index}] is {word!r}, as an earlier one is")
        seen.add(word)
    return Vocabulary(tuple(words), punctuation)


def _fail(origin: Path, problem: str) -> NoReturn:
    raise CapflowError(f"{origin}: {problem}; run `dvc repro` to make the vocabulary again.")
