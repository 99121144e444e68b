"""What a consensus of captions asks: the training captions, and what pictures that look alike let expect."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from capflow.evaluation.agreement import Agreement
from capflow.evaluation.ngrams import Captions
from capflow.models.captioner import Captioner
from capflow.models.lookalikes import whole
from capflow.params import Params
from capflow.processes import ALONE, Processes
from capflow.training.artifacts import open_batches
from capflow.training.fit import Fit, look
from capflow.training.members import open_views


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
        return scores if self.fit is None else scores + self.fit(captions, whole(seen))


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
    wholes = look(inputs, rows, asked.batch_size, processes)
    return Consensus(Agreement(told), Fit.of(told, wholes, asked.lookalikes))
