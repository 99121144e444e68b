"""What a consensus of captions asks: the training captions, and the training pictures that look alike."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from capflow.bars import bar
from capflow.errors import CapflowError
from capflow.evaluation.agreement import Agreement
from capflow.evaluation.ngrams import Captions
from capflow.models.captioner import Captioner
from capflow.models.inputs import Views
from capflow.models.neighbours import Neighbours
from capflow.params import GenerateParams, Params
from capflow.processes import ALONE, Processes
from capflow.training.artifacts import open_batches
from capflow.training.members import open_views


@dataclass(frozen=True)
class Consensus:
    """How much captions agree with those that are found and drawn beside them, and with neighbours'.

    Attributes:
        agreement: weighs words by the training captions.
        params: say how many neighbours vote, and what for.
        neighbours: the training pictures that have captions; None where none of them votes.
    """

    agreement: Agreement
    params: GenerateParams
    neighbours: Neighbours | None = None

    def __call__(self, captions: NDArray[np.int64], seen: Sequence[Tensor], /) -> NDArray[np.float64]:
        """See :data:`capflow.models.captioning.Agree`; the first model tells which pictures look alike."""
        scores = self.agreement(captions)
        if self.neighbours is None:
            return scores
        nearest = self.neighbours.nearest(seen[0].mean(1), self.params.neighbours)
        return scores + self.params.neighbours_vote * self.agreement.with_pictures(captions, nearest)


def open_consensus(
    params: Params, models: Sequence[Captioner], processes: Processes = ALONE
) -> Consensus | None:
    """What a consensus needs of the training split; None, where nobody asks for one.

    Each of ``processes`` looks at a part of the pictures, where neighbours are asked for.

    Raises:
        CapflowError: an artifact is missing or damaged, or there are not so many neighbours.
    """
    if params.generate.method != "consensus":
        return None
    told = Captions(*open_batches("train", params).references())
    agreement = Agreement(told)
    if not params.generate.neighbours:
        return Consensus(agreement, params.generate)
    rows = np.unique(told.images)
    if params.generate.neighbours >= len(rows):
        raise CapflowError(
            f"generate.neighbours ({params.generate.neighbours}) should be fewer than the pictures of the "
            f"training split that have captions ({len(rows)})."
        )
    _, inputs = open_views("train", params, models[:1])
    pictures = _means(inputs, rows, params.generate.batch_size, processes)
    return Consensus(agreement, params.generate, Neighbours(pictures))


@torch.inference_mode()
def _means(inputs: Views, rows: NDArray[np.int64], size: int, processes: Processes) -> Tensor:
    """The mean of the cells of each picture, float [N, channels]; ``size`` pictures are seen at a time."""
    batches = [rows[start : start + size] for start in range(0, len(rows), size)]
    own = processes.part(range(len(batches)))
    channels = inputs(rows[:1])[0].shape[2]
    means = torch.zeros(len(rows), channels)
    for number in bar(processes.in_step(own, len(batches)), "neighbours", len(own), "batch"):
        start = number * size
        means[start : start + size] = inputs(batches[number])[0].float().mean(1).cpu()
    processes.add(means)
    return means
