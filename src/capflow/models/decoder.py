"""What every decoder offers: the search, sampling and the training loop know only this.

To add a decoder, write one file beside this one, name it in ``capflow.models.captioner.DECODERS``
and in ``capflow.params.DecoderParams``.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor, nn

Seen = TypeVar("Seen", contravariant=True)


class Shape(NamedTuple):
    """What a decoder is built for: features [P, cells, channels] and a vocabulary of ``words``."""

    cells: int
    channels: int
    words: int


class Told(NamedTuple):
    """What a decoder makes of whole captions.

    Attributes:
        hidden: float [R, hidden], what :meth:`Decoder.words` makes the logits of the next word from: a
            row for each of the R words and end tokens, in the order of ``tokens[:, 1:]`` without its
            padding.
        penalty: float [], what the loss of the training gets on top; 0 in evaluation.
    """

    hidden: Tensor
    penalty: Tensor


@dataclass(frozen=True)
class State:
    """What a decoder remembers between steps, of P pictures and B candidates for their captions.

    There are as many candidates of each picture, and they lie one after another.

    Attributes:
        pictures: what it saw; pictures are the first dimension of every tensor. It is never copied.
        candidates: what became of each candidate; candidates are the first dimension.
    """

    pictures: dict[str, Tensor]
    candidates: dict[str, Tensor]

    def select(self, rows: Tensor) -> "State":
        """The candidates ``rows``, int64 [B], which may name one many times; the pictures stay."""
        chosen = {name: value.index_select(0, rows) for name, value in self.candidates.items()}
        return State(self.pictures, chosen)

    def repeat(self, times: int) -> "State":
        """Each candidate ``times`` times, one beside another; the pictures stay."""
        rows = torch.arange(len(self), device=self.device).repeat_interleave(times)
        return self.select(rows)

    def __len__(self) -> int:
        """How many candidates there are."""
        return len(self._any())

    @property
    def device(self) -> torch.device:
        """Where it is."""
        return self._any().device

    def _any(self) -> Tensor:
        return next(iter(self.candidates.values()))


class Speaker(Protocol[Seen]):
    """What a search and sampling need: a decoder, or several that speak together.

    They see pictures as ``Seen``; see :meth:`Decoder.init` and :meth:`Decoder.step`.
    """

    def init(self, features: Seen, /) -> State:
        """The state after looking at pictures: one candidate for each."""
        ...

    def step(self, token: Tensor, state: State, /) -> tuple[Tensor, State]:
        """Say one word and be asked for the next."""
        ...


class Decoder(nn.Module, ABC):
    """Features in, words out."""

    @abstractmethod
    def forward(self, features: Tensor, picture: Tensor, tokens: Tensor) -> Told:
        """Teacher forcing over whole captions at once.

        Args:
            features: float [P, cells, channels].
            picture: int64 [B], the picture of each caption, an index into ``features``.
            tokens: int64 [B, T], start token, words, end token, padding.
        """

    @abstractmethod
    def words(self, hidden: Tensor) -> Tensor:
        """Logits over the vocabulary, float [..., words], from float [..., hidden]."""

    @abstractmethod
    def init(self, features: Tensor) -> State:
        """The state after looking at pictures, float [P, cells, channels]: one candidate for each."""

    @abstractmethod
    def step(self, token: Tensor, state: State) -> tuple[Tensor, State]:
        """Say one word and be asked for the next.

        Args:
            token: int64 [B], the word that each candidate said last.
            state: from :meth:`init` or the step before.

        Returns:
            Logits float [B, words] and the new state.
        """


class AttentiveDecoder(Decoder):
    """A decoder that chooses with each word which cells of the picture to look at."""

    @abstractmethod
    def attend(self, features: Tensor, picture: Tensor, tokens: Tensor) -> Tensor:
        """Where it looks as it says each word of given captions; to be asked in evaluation mode.

        Args:
            features: float [P, cells, channels].
            picture: int64 [B], the picture of each caption, an index into ``features``.
            tokens: int64 [B, T], start token, words, end token, padding.

        Returns:
            float [B, T - 1, cells], for ``tokens[:, 1:]``; each word's cells sum to 1, padding's are 0.
        """
