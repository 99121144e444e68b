"""What every decoder offers: the search and the training loop know only this.

To add a decoder, write one file beside this one, name it in ``capflow.models.captioner.DECODERS``
and in ``capflow.params.DecoderParams``.
"""

from abc import ABC, abstractmethod
from typing import NamedTuple

from torch import Tensor, nn

State = dict[str, Tensor]
"""What a decoder remembers between steps; every tensor has the batch as its first dimension."""


class Shape(NamedTuple):
    """What a decoder is built for: features [B, cells, channels] and a vocabulary of ``words``."""

    cells: int
    channels: int
    words: int


class Decoder(nn.Module, ABC):
    """Features in, words out."""

    @abstractmethod
    def forward(self, features: Tensor, tokens: Tensor) -> Tensor:
        """Teacher forcing over whole captions at once.

        Args:
            features: float [B, cells, channels].
            tokens: int64 [B, T], start token, words, end token, padding.

        Returns:
            float [R, hidden], what :meth:`words` makes the logits of the next word from: a row for each
            of the R words and end tokens, in the order of ``tokens[:, 1:]`` without its padding.
        """

    @abstractmethod
    def words(self, hidden: Tensor) -> Tensor:
        """Logits over the vocabulary, float [..., words], from float [..., hidden]."""

    @abstractmethod
    def init(self, features: Tensor) -> State:
        """The state after looking at pictures, float [B, cells, channels]."""

    @abstractmethod
    def step(self, token: Tensor, state: State) -> tuple[Tensor, State]:
        """Say one word and be asked for the next.

        Args:
            token: int64 [B], the word said last.
            state: from :meth:`init` or the step before.

        Returns:
            Logits float [B, words] and the new state.
        """
