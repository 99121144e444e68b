"""A training that goes on from its last checkpoint, makes new ones, and ends when it is asked to."""

import logging
import time

from capflow.interruption import Stopped, Stops
from capflow.training.checkpoint import Checkpoints, sent
from capflow.training.history import History
from capflow.training.loop import Trainer
from capflow.training.state import capture, is_sound, restore

logger = logging.getLogger(__name__)

INTERVAL = 60.0
"""Seconds between two checkpoints within an epoch; at the end of an epoch there is one anyway ..."""
_SHARE = 0.02
"""... unless the checkpoints together would take more than this share of the time."""


class Keeper:
    """Decides when a training is saved."""

    def __init__(self, trainer: Trainer, checkpoints: Checkpoints | None, stops: Stops) -> None:
        """Keep a training.

        Args:
            trainer: ready to begin.
            checkpoints: where it is kept; None: by another of the processes that train together.
            stops: says when to end.
        """
        self._trainer, self._checkpoints, self._stops = trainer, checkpoints, stops
        self._saved, self._cost = time.monotonic(), 0.0

    def run(self) -> History:
        """Train, from the last checkpoint on if there is one.

        Raises:
            CapflowError: as :meth:`Trainer.run`, or the checkpoint is of another training.
            OSError: a checkpoint cannot be written; the one before stays.
            Stopped: a signal has asked for the end; there is a checkpoint of where it was heeded.
        """
        found = self._checkpoints.newest() if self._checkpoints else None
        if state := sent(found, self._trainer.processes):
            restore(self._trainer, state)
            logger.info("going on after step %d, in epoch %d", self._trainer.step, self._trainer.epoch + 1)
        try:
            return self._trainer.run(self._moment)
        except Stopped as stop:
            self._save()
            logger.warning("%s: stopped after step %d; the same command goes on.", stop, self._trainer.step)
            raise

    def _moment(self, epoch_ended: bool) -> None:
        self._stops.heed()
        waited = time.monotonic() - self._saved
        if waited >= max(0 if epoch_ended else INTERVAL, self._cost / _SHARE):
            self._save()

    def _save(self) -> None:
        """Write a checkpoint, then send the record what waits: who goes on tells it everything again."""
        if self._checkpoints is None:
            return
        began = time.monotonic()
        state = capture(self._trainer)
        if is_sound(state):
            self._checkpoints.save(state)
        else:
            logger.warning("after step %d the weights are no numbers: no checkpoint.", self._trainer.step)
        self._trainer.recorder.flush()
        self._saved = time.monotonic()
        self._cost = self._saved - began
