"""What a consensus of captions asks: the training captions, and the training pictures that look alike."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from capflow.bars import bar
from capflow.evaluation.agreement import Agreement
from capflow.evaluation.ngrams import Captions
from capflow.models.captioner import Captioner
from capflow.models.inputs import Views
from capflow.models.neighbours import Neighbours, whole
from capflow.params import Params
from capflow.processes import ALONE, Processes
from capflow.training.artifacts import open_batches
from capflow.training.members import open_views


@dataclass(frozen=True)
class Consensus:
    """How much captions agree with those that are found and drawn beside them, and with neighbours'.

    Attributes:
        agreement: weighs words by the training captions.
        neighbours: the training pictures that have captions; None where none of them votes.
        count: how many of them vote on a picture's captions.
        vote: what their captions count for, where a picture's own count for 1.
    """

    agreement: Agreement
    neighbours: Neighbours | None = None
    count: int = 0
    vote: float = 0.0

    def __call__(self, captions: NDArray[np.int64], seen: Sequence[Tensor], /) -> NDArray[np.float64]:
        """See :data:`capflow.models.captioning.Agree`; the first model tells which pictures look alike."""
        scores = self.agreement(captions)
        if self.neighbours is None:
            return scores
        nearest = self.neighbours.nearest(whole(seen[0]), self.count)
        return scores + self.vote * self.agreement.with_pictures(captions, nearest)


def open_consensus(
    params: Params, models: Sequence[Captioner], processes: Processes = ALONE
) -> Consensus | None:
    """What a consensus needs of the training split; None, where nobody asks for one.

    Each of ``processes`` looks at a part of the pictures, where neighbours are asked for.

    Raises:
        CapflowError: an artifact is missing or damaged, or holds what is no number.
    """
    asked = params.generate
    if asked.method != "consensus":
        return None
    told = Captions(*open_batches("train", params).references())
    agreement = Agreement(told)
    if not asked.neighbours:
        return Consensus(agreement)
    _, inputs = open_views("train", params, models[:1])
    means = torch.zeros(len(rows := np.unique(told.images)), models[0].encoder.channels)
    look(means, inputs, rows, asked.batch_size, processes)
    return Consensus(agreement, Neighbours(means), asked.neighbours, asked.neighbours_vote)


@torch.inference_mode()
def look(
    means: Tensor, inputs: Views, rows: NDArray[np.int64], size: int, processes: Processes = ALONE
) -> None:
    """Add what is seen of whole pictures, float [N, channels], to ``means``, which are zeros.

    Each of ``processes`` looks at a part of them, ``size`` pictures at a time; afterwards each has all.
    """
    starts = range(0, len(rows), size)
    own = processes.part(starts)
    for start in bar(processes.in_step(own, len(starts)), "neighbours", len(own), "batch"):
        means[start : start + size] = whole(inputs(rows[start : start + size])[0])
    processes.add(means)
