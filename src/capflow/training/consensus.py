"""What a consensus of captions asks: the training captions, and what pictures that look alike let expect."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from capflow.bars import bar
from capflow.evaluation.agreement import Agreement
from capflow.evaluation.expectation import Expectation
from capflow.evaluation.ngrams import Captions
from capflow.models.captioner import Captioner
from capflow.models.inputs import Views
from capflow.models.lookalikes import Lookalikes, whole
from capflow.params import Params
from capflow.processes import ALONE, Processes
from capflow.training.artifacts import open_batches
from capflow.training.members import open_views


@dataclass(frozen=True)
class Fit:
    """How well captions fit what training pictures that look alike let expect of a picture.

    Attributes:
        expectation: of the training captions.
        lookalikes: of the training pictures that have captions.
        vote: what this counts for, where the agreement of captions counts for 1.
    """

    expectation: Expectation
    lookalikes: Lookalikes
    vote: float

    def __call__(self, captions: NDArray[np.int64], seen: Sequence[Tensor], /) -> NDArray[np.float64]:
        """How well captions, int64 [B, K, T] and padded, fit pictures that are seen so, float64 [B, K]."""
        return self.vote * self.expectation(captions, self.lookalikes.weights(whole(seen)))


@dataclass(frozen=True)
class Consensus:
    """How much captions agree with those that are drawn, and with what is expected.

    Attributes:
        agreement: weighs words by the training captions.
        fit: None where training pictures are not asked.
    """

    agreement: Agreement
    fit: Fit | None = None

    def __call__(
        self, captions: NDArray[np.int64], drawn: int, seen: Sequence[Tensor], /
    ) -> NDArray[np.float64]:
        """See :data:`capflow.models.captioning.Agree`."""
        scores = self.agreement(captions, drawn)
        return scores if self.fit is None else scores + self.fit(captions, seen)


def open_consensus(
    params: Params, models: Sequence[Captioner], processes: Processes = ALONE
) -> Consensus | None:
    """What a consensus needs of the training split; None, where nobody asks for one.

    Each of ``processes`` looks at a part of the pictures, where those that look alike are asked.

    Raises:
        CapflowError: an artifact is missing or damaged, or holds what is no number.
    """
    asked = params.generate
    if asked.method != "consensus":
        return None
    words, lengths, pictures = open_batches("train", params).references()
    # Pictures without a caption tell nothing: the others are numbered without a gap.
    rows, images = np.unique(pictures, return_inverse=True)
    told = Captions(words, lengths, images.astype(np.int64))
    if not asked.lookalikes:
        return Consensus(Agreement(told))
    _, inputs = open_views("train", params, models)
    lookalikes = Lookalikes(look(inputs, rows, asked.batch_size, processes))
    return Consensus(Agreement(told), Fit(Expectation(told), lookalikes, asked.lookalikes))


@torch.inference_mode()
def look(inputs: Views, rows: NDArray[np.int64], size: int, processes: Processes = ALONE) -> Tensor:
    """What is seen of whole pictures, float [N, channels].

    Each of ``processes`` looks at a part of them, ``size`` pictures at a time; afterwards each has all.
    """
    means = torch.zeros(len(rows), whole(inputs(rows[:1])).shape[1])
    starts = range(0, len(rows), size)
    own = processes.part(starts)
    for start in bar(processes.in_step(own, len(starts)), "lookalikes", len(own), "batch"):
        means[start : start + size] = whole(inputs(rows[start : start + size]))
    processes.add(means)
    return means
