"""The training loop: epochs, and the best of them by the CIDEr of generated captions."""

import copy
import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

import torch
from torch import Tensor
from tqdm import tqdm

from capflow.data.batches import Batch, Batches
from capflow.errors import CapflowError
from capflow.models.captioner import Captioner
from capflow.models.devices import autocast
from capflow.models.inputs import Inputs
from capflow.models.sampling import Sampling
from capflow.params import TrainParams
from capflow.text.vocabulary import PAD
from capflow.training.cross_entropy import CrossEntropy, caption_loss
from capflow.training.objective import Objective
from capflow.training.phase import Phase
from capflow.training.self_critical import Rewards, SelfCritical

logger = logging.getLogger(__name__)

Row = dict[str, float]


class Recorder(Protocol):
    """Where numbers go while training runs."""

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Record values at a step, counted from 1 over all epochs."""
        ...


@dataclass(frozen=True)
class Split:
    """The captions of a split and the pictures that they belong to."""

    batches: Batches
    inputs: Inputs


@dataclass
class History:
    """What happened: a row for each logged step and for each epoch, without times."""

    steps: list[Row] = field(default_factory=list)
    epochs: list[Row] = field(default_factory=list)
    best_epoch: int = 0
    best_cider: float = -math.inf


class Trainer:
    """One training run: epochs of cross-entropy, then, if asked for, of self-critical training."""

    def __init__(
        self,
        model: Captioner,
        train: Split,
        val: Split,
        score: Callable[[], Mapping[str, float]],
        sampling: Sampling,
        params: TrainParams,
        recorder: Recorder,
    ) -> None:
        """Prepare the first phase.

        Args:
            model: on its device; afterwards it holds the weights of the best epoch.
            train: what to learn from.
            val: what to validate on.
            score: generates the validation captions with the model as it is, and gives their
                ``val_CIDEr``, and what else is to be recorded.
            sampling: how self-critical training draws captions.
            params: how to learn.
            recorder: gets ``train_loss`` (or ``reward``) and ``lr`` by step, ``val_loss`` and what
                ``score`` gives by epoch.

        Raises:
            CapflowError: the encoder has no such layer as ``train.encoder.from_layer``.
        """
        self.model, self.train, self.val, self.score = model, train, val, score
        self.sampling, self.params, self.recorder = sampling, params, recorder
        self.device = next(model.parameters()).device
        self.phase = self._phase(CrossEntropy(model, train.inputs, params), params.lr, params.epochs)
        self.history = History()
        self.step = self.epoch = 0
        self._best = model.state_dict()

    def run(self) -> History:
        """Train until the last epoch, or, in each phase, until CIDEr has not risen for ``patience`` epochs.

        Raises:
            CapflowError: the loss is no longer a number.
        """
        self._run_phase()
        if self.params.self_critical.epochs:
            self.phase = self._self_critical()
            self._run_phase()
        return self.history

    def _phase(self, objective: Objective, lr: float, epochs: int) -> Phase:
        return Phase(self.model, objective, self.params, lr, epochs, len(self.train.batches))

    def _self_critical(self) -> Phase:
        rewards = Rewards(self.train.batches, self.params.self_critical.bleu)
        objective = SelfCritical(self.model, self.train.inputs, rewards, self.sampling, self.params)
        return self._phase(objective, self.params.self_critical.lr, self.params.self_critical.epochs)

    def _run_phase(self) -> None:
        """Train, and go back to the best epoch of all."""
        first = self.epoch
        for _ in range(self.phase.epochs):
            self.epoch += 1
            self._run_epoch()
            waited = self.epoch - max(first, self.history.best_epoch)
            if self.params.patience and waited >= self.params.patience:
                logger.info("CIDEr has not risen for %d epochs: stopping.", self.params.patience)
                break
        self.model.load_state_dict(self._best)

    def _run_epoch(self) -> None:
        began = time.monotonic()
        learnt = self._learn()
        speed = self.train.batches.captions_per_epoch() / (time.monotonic() - began)
        with self.phase.average.in_place():
            row = {self.phase.objective.shows: learnt} | self._validate()
            if row["val_CIDEr"] > self.history.best_cider:
                self.history.best_epoch, self.history.best_cider = self.epoch, row["val_CIDEr"]
                self._best = copy.deepcopy(self.model.state_dict())
        # While rewards rise, the validation loss rises, too, and says nothing about the rate.
        if isinstance(self.phase.objective, CrossEntropy):
            self.phase.schedule.epoch_ended(row["val_loss"])
        self.history.epochs.append({"epoch": self.epoch, "step": self.step, **row})
        self.recorder.log({"epoch": self.epoch, "captions_per_second": speed} | _epoch_names(row), self.step)
        figures = ", ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in row.items())
        total = self.params.epochs + self.params.self_critical.epochs
        logger.info("epoch %d/%d: %s, %.0f captions/s", self.epoch, total, figures, speed)

    def _learn(self) -> float:
        self.model.encoder.thaw(
            self.params.encoder.from_layer, wanted=self.epoch >= self.params.encoder.from_epoch
        )
        self.model.train()
        figures: list[Tensor] = []
        steps = -(-len(self.train.batches) // self.params.accumulate)
        bar = tqdm(self._steps(), f"epoch {self.epoch}", steps, disable=None, leave=False)
        for batches in bar:
            lr = self.phase.lr
            figures.append(self.phase.update(batches))
            self.step += 1
            if self.step % self.params.log_every == 0:
                values = {self.phase.objective.shows: self._finite(figures[-1]), "lr": lr}
                self.history.steps.append({"step": self.step, **values})
                self.recorder.log(values, self.step)
                bar.set_postfix(values, refresh=False)
        return self._finite(torch.stack(figures).mean(0))

    def _steps(self) -> Iterator[list[Batch]]:
        """The batches of this epoch's steps."""
        batches = self.train.batches.epoch(self.epoch)
        return iter(lambda: list(islice(batches, self.params.accumulate)), [])

    def _validate(self) -> Row:
        self.model.eval()
        return {"val_loss": self._val_loss(), **self.score()}

    @torch.inference_mode()
    def _val_loss(self) -> float:
        """Mean loss over the validation captions, without smoothing, so that runs can be compared."""
        total, words = 0.0, 0
        for batch in self.val.batches.epoch(0):
            count = int((batch.tokens[:, 1:] != PAD).sum())
            picture, tokens = batch.picture.to(self.device), batch.tokens.to(self.device)
            with autocast(self.device, self.params.precision):
                loss = caption_loss(self.model.decoder, self.val.inputs(batch.rows), picture, tokens)
            total += count * loss.item()
            words += count
        return total / words

    def _finite(self, figures: Tensor) -> float:
        """What the objective shows, of its figures: the loss, and that."""
        loss, shown = figures.tolist()
        if not math.isfinite(loss):
            raise CapflowError(
                f"training: the loss is {loss} at step {self.step}; lower train.lr or set train.clip."
            )
        return float(shown)


def _epoch_names(row: Row) -> Row:
    """What is recorded by step, too, has a name of its own by epoch."""
    return {f"epoch_{name}" if name in {"train_loss", "reward"} else name: row[name] for name in row}
