"""Encoded captions: one flat array of word ids for each split, memory-mapped in training."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, TypeVar

import numpy as np
from numpy.typing import NDArray

from capflow.bars import bar
from capflow.data.annotations import Annotations
from capflow.data.npy import mapped
from capflow.errors import CapflowError
from capflow.files import replacing
from capflow.text.tokenise import Tokeniser
from capflow.text.vocabulary import END, PAD, START, Vocabulary

T = TypeVar("T", bound=np.generic)
Ids = NDArray[np.int64]


@dataclass(frozen=True)
class TokenisedCaptions:
    """The words of N captions; flat, because a million small lists keep the garbage collector busy.

    Attributes:
        tokens: all words, one caption after the other.
        lengths: the number of words of each caption, 1 or more.
        images: the image id of each caption.
    """

    tokens: list[str]
    lengths: list[int]
    images: list[int]

    @classmethod
    def of(cls, captions: Iterable[tuple[int, Sequence[str]]]) -> "TokenisedCaptions":
        """Put captions together, each an image id and its words; those that hold no word are left out."""
        together = cls([], [], [])
        for image, tokens in captions:
            if tokens:
                together.tokens.extend(tokens)
                together.lengths.append(len(tokens))
                together.images.append(image)
        return together


def tokenise_all(split: Annotations, *, punctuation: bool) -> TokenisedCaptions:
    """The captions of a split in file order; those that hold no word are left out."""
    tokens = Tokeniser(punctuation=punctuation)
    records = bar(split.annotations, "words", unit="caption")
    return TokenisedCaptions.of((record["image_id"], tokens(record["caption"])) for record in records)


@dataclass(frozen=True)
class EncodedCaptions:
    """N captions of one split.

    Attributes:
        tokens: int32 [offsets[N]], all captions one after the other, each from start to end.
        offsets: int64 [N + 1], where each caption begins, and the end of the last one.
        images: int64 [N], the image id of each caption.
    """

    tokens: NDArray[np.int32]
    offsets: Ids
    images: Ids

    @classmethod
    def encode(cls, captions: TokenisedCaptions, vocabulary: Vocabulary) -> "EncodedCaptions":
        """Number the words of captions."""
        offsets = np.cumsum([0, *(length + 2 for length in captions.lengths)], dtype=np.int64)
        first, last = offsets[:-1], offsets[1:] - 1
        tokens = np.zeros(offsets[-1], np.int32)
        tokens[first], tokens[last] = START, END
        tokens[tokens == 0] = vocabulary.ids(captions.tokens)
        return cls(tokens, offsets, np.array(captions.images, np.int64))

    def __len__(self) -> int:
        """The number of captions, N."""
        return len(self.images)

    @property
    def lengths(self) -> Ids:
        """int64 [N], the length of each caption with its start and end."""
        return np.diff(self.offsets)

    def _lengths(self, chosen: Ids) -> Ids:
        """As :attr:`lengths`, of some captions; the work does not grow with all of them."""
        lengths: Ids = self.offsets[chosen + 1] - self.offsets[chosen]
        return lengths

    def padded(self, chosen: Ids) -> Ids:
        """Captions as a matrix, int64 [B, longest of them], filled up with padding.

        Args:
            chosen: int64 [B], which captions.
        """
        starts, lengths = self.offsets[chosen], self._lengths(chosen)
        column = np.arange(lengths.max(initial=0))
        real = column < lengths[:, None]
        matrix = np.full(real.shape, PAD, np.int64)
        matrix[real] = self.tokens[(starts[:, None] + column)[real]]
        return matrix

    def said(self, chosen: Ids) -> tuple[Ids, Ids]:
        """What captions say, without the start: int64 [T], one after the other, and int64 [B], how long.

        Args:
            chosen: int64 [B], which captions.
        """
        lengths = self._lengths(chosen) - 1
        first = self.offsets[chosen] + 1 - (np.cumsum(lengths) - lengths)
        words = self.tokens[np.repeat(first, lengths) + np.arange(lengths.sum())]
        return words.astype(np.int64), lengths

    def save(self, folder: Path) -> None:
        """Write ``tokens.npy``, ``offsets.npy`` and ``images.npy``."""
        for name in ("tokens", "offsets", "images"):
            with replacing(folder / f"{name}.npy") as temporary, temporary.open("wb") as stream:
                np.save(stream, getattr(self, name), allow_pickle=False)

    @classmethod
    def load(cls, folder: Path) -> "EncodedCaptions":
        """Memory-map what :meth:`save` wrote, and check it against the ``vocab.json`` beside ``folder``.

        Raises:
            CapflowError: a file is missing or damaged, or the files do not belong together.
        """
        words = len(Vocabulary.read(folder.parent / "vocab.json"))
        captions = cls(
            _map(folder / "tokens.npy", np.dtype(np.int32)),
            _map(folder / "offsets.npy", np.dtype(np.int64)),
            _map(folder / "images.npy", np.dtype(np.int64)),
        )
        captions._check(folder, words)
        return captions

    def _check(self, folder: Path, words: int) -> None:
        offsets, tokens = self.offsets, self.tokens
        if len(offsets) != len(self) + 1:
            _fail(folder / "offsets.npy", f"holds {len(offsets)} places for {len(self)} captions")
        if offsets[0] != 0 or offsets[-1] != len(tokens) or (self.lengths < 2).any():
            _fail(folder / "offsets.npy", f"does not rise from 0 to {len(tokens)} in steps of 2 or more")
        if not ((tokens >= 0) & (tokens < words)).all():
            _fail(folder / "tokens.npy", f"holds ids outside of 0 to {words - 1}, the vocabulary's")
        if (tokens[offsets[:-1]] != START).any() or (tokens[offsets[1:] - 1] != END).any():
            _fail(folder / "tokens.npy", "holds a caption that does not go from start to end")


def _map(path: Path, dtype: np.dtype[T]) -> NDArray[T]:
    try:
        array: NDArray[T] = mapped(path)
    except FileNotFoundError:
        _fail(path, "there is no such file")
    except (OSError, ValueError) as error:
        _fail(path, f"cannot be mapped ({error})")
    if array.dtype != dtype or array.ndim != 1:
        _fail(path, f"holds {array.dtype} {list(array.shape)}, not a row of {dtype}")
    return array


def _fail(path: Path, problem: str) -> NoReturn:
    raise CapflowError(f"{path}: {problem}; run `dvc repro` to make it again.")
