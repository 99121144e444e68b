"""What captions of other pictures ask of the training captions: hints for a search, votes for a consensus."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from capflow.evaluation.agreement import Agreement
from capflow.evaluation.ngrams import Captions
from capflow.models.captioner import Captioner
from capflow.models.captioning import Advice
from capflow.models.lookalikes import whole
from capflow.params import Params
from capflow.processes import ALONE, Processes
from capflow.training.artifacts import open_batches
from capflow.training.fit import Fit, look
from capflow.training.members import open_views


@dataclass(frozen=True)
class Consensus:
    """How much captions agree with those that are drawn, if any are, and with what is expected.

    Attributes:
        agreement: weighs words by the training captions.
        fit: None where training pictures are not asked.
        weight: what the fit counts for, where CIDEr-D against a drawn caption counts for 1.
    """

    agreement: Agreement
    fit: Fit | None = None
    weight: float = 0.0

    def __call__(
        self, captions: NDArray[np.int64], drawn: int, seen: Sequence[Tensor], /
    ) -> NDArray[np.float64]:
        """See :data:`capflow.models.captioning.Agree`."""
        scores = self.agreement(captions, drawn) if drawn else np.zeros(captions.shape[:2])
        return scores if self.fit is None else scores + self.weight * self.fit(captions, whole(seen))


@dataclass(frozen=True)
class Hints:
    """What words are worth, by what is expected of them.

    Attributes:
        fit: of captions to pictures.
        weight: what it counts for, where log p counts for 1.
        words: so many there are.
    """

    fit: Fit
    weight: float
    words: int

    def __call__(self, seen: Sequence[Tensor], /) -> Tensor:
        """See :data:`capflow.models.captioning.Hint`."""
        told = torch.from_numpy(self.weight * self.fit.words(whole(seen), self.words))
        return told.to(seen[0].device, torch.float32)


def open_advice(
    params: Params, models: Sequence[Captioner], words: int, processes: Processes = ALONE
) -> Advice[Sequence[Tensor]]:
    """What the ``generate`` section asks of the training split; nothing is read where it asks nothing.

    Each of ``processes`` looks at a part of the pictures, where those that look alike are asked.

    Args:
        params: all parameters.
        models: those that speak.
        words: how many words they know.
        processes: those that caption.

    Raises:
        CapflowError: an artifact is missing or damaged, or holds what is no number.
    """
    asked = params.generate
    consensus = asked.method == "consensus"
    votes, hints = consensus and asked.lookalikes, asked.method != "sample" and asked.hints
    if not (consensus or hints):
        return Advice()
    told, rows = _told(params)
    fit = None
    if votes or hints:
        _, inputs = open_views("train", params, models)
        fit = Fit.of(told, look(inputs, rows, asked.batch_size, processes))
    agree = Consensus(Agreement(told), fit if votes else None, votes) if consensus else None
    return Advice(agree, Hints(fit, hints, words) if fit and hints else None)


def _told(params: Params) -> tuple[Captions, NDArray[np.int64]]:
    """The training captions, and the rows of their pictures.

    Pictures without a caption tell nothing: the others are numbered without a gap.
    """
    words, lengths, pictures = open_batches("train", params).references()
    rows, images = np.unique(pictures, return_inverse=True)
    return Captions(words, lengths, images.astype(np.int64)), rows
