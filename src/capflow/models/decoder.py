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
        """Teacher forcing over all steps at once.

        Args:
            features: float [B, cells, channels].
            tokens: int64 [B, T], the words said so far, ``<start>`` first.

        Returns:
            float [B, T, hidden]: what :meth:`words` makes the logits of each next word from.
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
