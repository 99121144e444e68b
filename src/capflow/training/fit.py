"""How well captions fit what training pictures that look alike let expect of a picture."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from capflow.bars import bar
from capflow.evaluation.expectation import Expectation
from capflow.evaluation.ngrams import Captions
from capflow.models.inputs import Views
from capflow.models.lookalikes import Lookalikes, whole
from capflow.processes import ALONE, Processes


@dataclass(frozen=True)
class Fit:
    """How well captions fit pictures, by the training captions of others.

    Attributes:
        expectation: of the training captions.
        lookalikes: of the training pictures that have captions.
    """

    expectation: Expectation
    lookalikes: Lookalikes

    @classmethod
    def of(cls, told: Captions, pictures: Tensor) -> "Fit":
        """By captions of images 0 to N - 1, which are seen so as wholes, float [N, channels]."""
        return cls(Expectation(told), Lookalikes(pictures))

    def __call__(
        self, captions: NDArray[np.int64], pictures: Tensor, own: Tensor | None = None
    ) -> NDArray[np.float64]:
        """How well captions fit, float64 [B, K], in CIDEr-D's unit but smaller.

        Args:
            captions: int64 [B, K, T], words and, if there is one, the end token; then padding.
            pictures: float [B, channels], each as a whole.
            own: int64 [B], which of the images each picture is, if they are training pictures themselves.
        """
        return self.expectation(captions, self.lookalikes.weights(pictures, own))

    def words(self, pictures: Tensor, count: int) -> NDArray[np.float64]:
        """What each of ``count`` words adds to how well a caption fits, about, float64 [B, count].

        Args:
            pictures: float [B, channels], each as a whole.
            count: words are below this.
        """
        return self.expectation.words(self.lookalikes.weights(pictures), count)


@torch.inference_mode()
def look(
    inputs: Views,
    rows: NDArray[np.int64],
    size: int,
    processes: Processes = ALONE,
    meet: Callable[[], object] | None = None,
) -> Tensor:
    """What is seen of whole pictures, float [N, channels].

    Each of ``processes`` looks at a part of them, ``size`` pictures at a time; afterwards each has all.
    Meanwhile they ``meet`` as :meth:`capflow.processes.Processes.in_step` has it.
    """
    means = torch.zeros(len(rows), whole(inputs(rows[:1])).shape[1])
    starts = range(0, len(rows), size)
    own = processes.part(starts)
    for start in bar(processes.in_step(own, len(starts), meet=meet), "lookalikes", len(own), "batch"):
        means[start : start + size] = whole(inputs(rows[start : start + size]))
    processes.add(means)
    return means
