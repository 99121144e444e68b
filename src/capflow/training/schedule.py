"""The learning rate of each step.

``constant``, ``step``, ``cosine`` and ``noam`` are functions of the step alone; ``plateau`` also looks at
the validation loss, and does what the tutorials did by hand: lower the rate when the loss is flat.
All of them may start with a linear warm-up over a share of all steps. ``noam`` falls with the square root
of the step afterwards (Vaswani et al.: Attention Is All You Need, NeurIPS 2017); after a warm-up of w
steps their rate, with width d, has its peak at (d w)^-0.5.
"""

import math
from dataclasses import dataclass

from capflow.params import ScheduleParams


@dataclass
class Flatness:
    """What ``plateau`` has seen: reductions, the lowest loss, and epochs in a row that did not lower it."""

    reductions: int = 0
    best: float = math.inf
    epochs: int = 0


class Schedule:
    """The factor that the base learning rate is multiplied with."""

    def __init__(self, params: ScheduleParams, steps_per_epoch: int, epochs: int) -> None:
        """Prepare for a run of ``epochs`` epochs of ``steps_per_epoch`` steps."""
        self._params = params
        self._steps_per_epoch = steps_per_epoch
        self._total = steps_per_epoch * epochs
        self._warmup = round(params.warmup * self._total)
        self.flatness = Flatness()

    def progress(self, step: int) -> float:
        """How much of the run step ``step``, counted from 0, has behind it: 0 at first, 1 in the end."""
        # Epochs may differ by a batch, so that a run may be a few steps longer than foreseen.
        return min(1.0, step / max(1, self._total - 1))

    def factor(self, step: int) -> float:
        """The factor of step ``step``, counted from 0."""
        if step < self._warmup:
            return (step + 1) / self._warmup
        match self._params.name:
            case "constant":
                return 1.0
            case "step":
                return float(self._params.factor ** (step // self._steps_per_epoch // self._params.every))
            case "cosine":
                # Epochs may differ by a batch, so that a run may be a few steps longer than foreseen.
                progress = min(1.0, (step - self._warmup) / max(1, self._total - self._warmup))
                return 0.5 * (1 + math.cos(math.pi * progress))
            case "noam":
                return math.sqrt(max(1, self._warmup) / (step + 1))
            case "plateau":
                return float(self._params.factor**self.flatness.reductions)

    def epoch_ended(self, val_loss: float) -> None:
        """Tell ``plateau`` how it went; an epoch counts as flat if it does not improve by 0.01 %."""
        flat = self.flatness
        if val_loss < flat.best * (1 - 1e-4):
            flat.best, flat.epochs = val_loss, 0
            return
        flat.epochs += 1
        if flat.epochs > self._params.patience:
            flat.reductions, flat.epochs = flat.reductions + 1, 0
