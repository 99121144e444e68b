"""What training makes smaller: the interface of cross-entropy and of self-critical training."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from capflow.data.batches import Batch
from capflow.models.decoder import Decoder
from capflow.models.inputs import Inputs


class Learnt(NamedTuple):
    """What came of a batch; of the parts of one, what it adds up to is what comes of the whole.

    Attributes:
        loss: float [], with its gradient.
        shown: float [], what the record gets to see; without a gradient.
    """

    loss: Tensor
    shown: Tensor


class Objective(Protocol):
    """How a batch is learnt from."""

    shows: str
    """The name of :attr:`Learnt.shown` in the record."""

    @property
    def random(self) -> torch.Generator | None:
        """Where its own random numbers come from, if it has any."""
        ...

    def weight(self, batch: Batch, /) -> int:
        """How much a batch counts beside others of the same step."""
        ...

    def __call__(self, batch: Batch, progress: float, /) -> Learnt:
        """Look at a batch; ``progress`` rises from 0 to 1 as training goes on."""
        ...


def seen(inputs: Inputs, batch: Batch) -> Tensor:
    """What is seen of a batch's pictures, whatever part of a whole it is."""
    if batch.whole is None:
        return inputs(batch.rows)
    return inputs(batch.whole.rows, slice(batch.first, batch.first + len(batch.rows)))


@contextmanager
def observing(decoder: Decoder) -> Iterator[None]:
    """Within the block, a decoder that learns says what it would say in use; nothing gets a gradient."""
    decoder.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        decoder.train()
