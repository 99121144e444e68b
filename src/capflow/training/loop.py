"""The training loop: epochs, and the best of them by the CIDEr of generated captions."""

import copy
import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from types import MappingProxyType

import torch
from torch import Tensor
from tqdm import tqdm

from capflow import memory
from capflow.data.batches import Batch, Batches
from capflow.errors import CapflowError
from capflow.models.captioner import Captioner, finite
from capflow.models.inputs import Inputs
from capflow.models.sampling import Sampling
from capflow.models.shared_norm import Sharing
from capflow.params import TrainParams
from capflow.processes import ALONE, Processes
from capflow.training.cross_entropy import CrossEntropy
from capflow.training.history import History, Recorder, Row
from capflow.training.objective import Objective
from capflow.training.phase import Phase
from capflow.training.self_critical import Rewards, SelfCritical

logger = logging.getLogger(__name__)

Moment = Callable[[bool], None]
"""Told after each step, and, with True, after each epoch; what was begun can be left there and taken up."""


@dataclass(frozen=True)
class Split:
    """The captions of a split, the pictures that they belong to, and what varies these, if anything does.

    ``pictures``, float [N, channels], are these as wholes, where rewards ask which of them look alike.
    """

    batches: Batches
    inputs: Inputs
    generator: torch.Generator | None = None
    pictures: Tensor | None = None


class Trainer:
    """One training run: epochs of cross-entropy, then, if asked for, of self-critical training."""

    def __init__(
        self,
        model: Captioner,
        train: Split,
        validate: Callable[[], Row],
        sampling: Sampling,
        params: TrainParams,
        recorder: Recorder,
        processes: Processes = ALONE,
        said: Mapping[int, str] = MappingProxyType({}),
    ) -> None:
        """Prepare the first phase.

        Args:
            model: on its device; afterwards it holds the weights of the best epoch.
            train: what to learn from.
            validate: the model as it is, in evaluation mode: gives ``val_loss``, ``val_CIDEr``, and what else
                is to be recorded.
            sampling: how self-critical training draws captions.
            params: how to learn.
            recorder: gets ``train_loss`` (or ``reward``) and ``lr`` by step, what ``validate`` gives
                by epoch.
            processes: those that train together; each has a part of each batch.
            said: where ``validate`` leaves the captions of a few pictures, by image id, for the record.

        Raises:
            CapflowError: the encoder has no such layer as ``train.encoder.from_layer``.
        """
        self.model, self.train, self.validate = model, train, validate
        self.sampling, self.params, self.recorder = sampling, params, recorder
        self.device, self.processes = next(model.parameters()).device, processes
        self.said = said
        self._sharing = Sharing(model, processes)
        self.phase = self._phase(CrossEntropy(model, train.inputs, params), params.lr, params.epochs)
        self.history = History()
        self.speeds: list[float] = []  # captions a second, of each epoch
        # Steps, and epochs, that are done; those before this phase; the best weights of all epochs.
        self.step = self.epoch = self.first = 0
        self.best = model.state_dict()
        self.began = time.monotonic()
        # Of the epoch that has begun: what each step gave, and the seconds that they took.
        self.figures: list[Tensor] = []
        self.seconds = 0.0

    def run(self, moment: Moment = lambda _: None) -> History:
        """Train until the last epoch, or, in each phase, until CIDEr has not risen for ``patience`` epochs.

        Raises:
            CapflowError: the loss, or a weight, is no longer a number.
        """
        if self.params.start != "none" and not self.history.epochs:
            self._assess()
        self._run_phase(moment)
        if self.params.self_critical.epochs and not self.self_critical:
            self.begin_self_critical()
            self._run_phase(moment)
        return self.history

    @property
    def self_critical(self) -> bool:
        """Whether the phase of captions that are drawn has begun."""
        return isinstance(self.phase.objective, SelfCritical)

    def begin_self_critical(self) -> None:
        """Leave cross-entropy for good; the weights stay as they are."""
        self.phase, self.first = self._self_critical(), self.epoch

    def _phase(self, objective: Objective, lr: float, epochs: int) -> Phase:
        batches = len(self.train.batches)
        return Phase(self.model, objective, self.params, lr, epochs, batches, self._sharing)

    def _self_critical(self) -> Phase:
        rewards = Rewards(self.train.batches, self.params.self_critical, self.train.pictures)
        objective = SelfCritical(
            self.model, self.train.inputs, rewards, self.sampling, self.params, self.processes
        )
        return self._phase(objective, self.params.self_critical.lr, self.params.self_critical.epochs)

    def _run_phase(self, moment: Moment) -> None:
        """Train, and go back to the best epoch of all."""
        while self.epoch < self.first + self.phase.epochs:
            waited = self.epoch - max(self.first, self.history.best_epoch)
            if self.params.patience and waited >= self.params.patience:
                logger.info("CIDEr has not risen for %d epochs: stopping.", self.params.patience)
                break
            self._run_epoch(moment)
        self.model.load_state_dict(self.best)

    def _assess(self) -> None:
        """Validate what training starts from, as epoch 0, which may stay the best."""
        row = self._validate()
        self._judge(row, 0)
        self._report(row, 0.0)

    def _judge(self, row: Row, epoch: int) -> None:
        """Remember the weights of an epoch if they are the best so far."""
        if row["val_CIDEr"] > self.history.best_cider:
            self.history.best_epoch, self.history.best_cider = epoch, row["val_CIDEr"]
            self.best = copy.deepcopy(self.model.state_dict())

    def _run_epoch(self, moment: Moment) -> None:
        """Learn and validate; nothing of the training changes before both are done, but by steps."""
        learnt = self._learn(moment)
        with self.phase.average.in_place():
            self._refuse_what_is_no_number()
            row = {self.phase.objective.shows: learnt} | self._validate()
            self._judge(row, self.epoch + 1)
        # While rewards rise, the validation loss rises, too, and says nothing about the rate.
        if not self.self_critical:
            self.phase.schedule.epoch_ended(row["val_loss"])
        self.epoch += 1
        self._report(row, self.train.batches.captions_per_epoch() / self.seconds)
        self.figures, self.seconds = [], 0.0
        moment(True)

    def _report(self, row: Row, speed: float) -> None:
        self.speeds.append(speed)
        self.history.epochs.append({"epoch": self.epoch, "step": self.step, **row})
        self.record_epoch(self.history.epochs[-1], speed)
        self.history.samples += [(self.epoch, image, caption) for image, caption in self.said.items()]
        if self.said:
            self.recorder.samples(self.history.samples)
        figures = [f"{name.replace('_', ' ')} {value:.3f}" for name, value in row.items()]
        figures += [f"{speed:.0f} captions/s"] if speed else []
        total = self.params.epochs + self.params.self_critical.epochs
        logger.info("epoch %d/%d: %s", self.epoch, total, ", ".join(figures))

    def record_epoch(self, row: Row, speed: float) -> None:
        """Tell the recorder of an epoch; what it is told of by step, too, has a name of its own."""
        renamed = {"train_loss": "epoch_train_loss", "reward": "epoch_reward"}
        values = {renamed.get(name, name): value for name, value in row.items() if name != "step"}
        speeds = {"captions_per_second": speed} if speed else {}
        self.recorder.log(values | speeds, int(row["step"]))

    def _learn(self, moment: Moment) -> float:
        """The steps of an epoch that are still to be done; what the objective shows, over all of them."""
        chosen, number = self.params.encoder, self.epoch + 1
        self.model.encoder.thaw(chosen.from_layer, wanted=number >= chosen.from_epoch)
        self.model.train()
        began = time.monotonic() - self.seconds
        steps, done = -(-len(self.train.batches) // self.params.accumulate), len(self.figures)
        hidden = None if self.processes.first else True
        shown = tqdm(self._steps(), f"epoch {number}", steps, initial=done, disable=hidden, leave=False)
        for batches in shown:
            lr = self.phase.lr
            self.figures.append(self.phase.update(batches))
            self.step += 1
            if self.step % self.params.log_every == 0:
                values = {self.phase.objective.shows: self._finite(self.figures[-1]), "lr": lr}
                self.history.steps.append({"step": self.step, **values})
                self.recorder.log(values, self.step)
                shown.set_postfix(values, refresh=False)
            self.seconds = time.monotonic() - began
            moment(False)
        return self._finite(torch.stack(self.figures).mean(0))

    def _steps(self) -> Iterator[list[Batch]]:
        """The batches of this epoch's steps, but for those that are done."""
        share = self.params.accumulate
        batches = self.train.batches.epoch(self.epoch + 1, len(self.figures) * share)
        return iter(lambda: list(islice(batches, share)), [])

    def _validate(self) -> Row:
        """What it takes is of other sizes than what a step takes: both at once would be twice as much."""
        self.model.eval()
        memory.hand_back()
        row = self.validate()
        memory.hand_back()
        return row

    def _refuse_what_is_no_number(self) -> None:
        """A loss is of before its step: of what an epoch's last one has done to the weights none can tell."""
        if not finite(self.model):
            raise CapflowError(
                f"training: the weights are no numbers after step {self.step}; {self._remedy}."
            )

    @property
    def _remedy(self) -> str:
        return f"lower train.{'self_critical.' if self.self_critical else ''}lr or set train.clip"

    def _finite(self, figures: Tensor) -> float:
        """What the objective shows, of its figures: the loss, and that."""
        loss, shown = figures.tolist()
        if not math.isfinite(loss):
            raise CapflowError(f"training: the loss is {loss} at step {self.step}; {self._remedy}.")
        return float(shown)
