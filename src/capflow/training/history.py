"""What happened in a training, and who is told of it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

Row = dict[str, float]
Sample = tuple[int, int, str]
"""The epoch, an image id, and the caption of that picture then."""


@dataclass
class History:
    """What happened: a row for each logged step and for each epoch, without times."""

    steps: list[Row] = field(default_factory=list)
    epochs: list[Row] = field(default_factory=list)
    best_epoch: int = 0
    best_cider: float = -math.inf
    samples: list[Sample] = field(default_factory=list)


class Recorder(Protocol):
    """Where numbers go while training runs."""

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Record values at a step, counted from 1 over all epochs."""
        ...

    def samples(self, rows: Sequence[Sample]) -> None:
        """Record the captions of a few pictures, of all epochs so far."""
        ...

    def flush(self) -> None:
        """Pass on what is waiting, if anything is."""
        ...


class Unrecorded:
    """A recorder of those who learn along: another process records."""

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Forget them."""

    def samples(self, rows: Sequence[Sample]) -> None:
        """Forget them."""

    def flush(self) -> None:
        """Nothing waits."""
