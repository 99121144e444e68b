"""The training loop: teacher forcing on captions, the best epoch by the CIDEr of generated captions."""

import copy
import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor
from tqdm import tqdm

from capflow.data.batches import Batch, Batches
from capflow.errors import CapflowError
from capflow.models.captioner import Captioner
from capflow.models.decoder import Decoder, Told
from capflow.models.devices import autocast
from capflow.models.inputs import Inputs
from capflow.params import TrainParams
from capflow.text.vocabulary import PAD
from capflow.training.schedule import Schedule

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


def caption_loss(
    decoder: Decoder, features: Tensor, picture: Tensor, tokens: Tensor, smoothing: float = 0.0
) -> Tensor:
    """Mean cross-entropy of the next word, over all words and end tokens; padding does not count.

    In training, the decoder's penalty is added.

    Args:
        decoder: the decoder.
        features: float [P, cells, channels].
        picture: int64 [B], the picture of each caption, an index into ``features``.
        tokens: int64 [B, T], start token, words, end token, padding.
        smoothing: the share of probability that goes to all words alike (Szegedy et al., 2016).
    """
    targets = tokens[:, 1:]
    told: Told = decoder(features, picture, tokens)
    entropy = torch.nn.functional.cross_entropy(
        decoder.words(told.hidden).float(), targets[targets != PAD], label_smoothing=smoothing
    )
    return entropy + told.penalty


class Trainer:
    """One training run."""

    def __init__(
        self,
        model: Captioner,
        train: Split,
        val: Split,
        score: Callable[[], float],
        params: TrainParams,
        recorder: Recorder,
    ) -> None:
        """Prepare the optimiser and the schedule.

        Args:
            model: on its device; afterwards it holds the weights of the best epoch.
            train: what to learn from.
            val: what to validate on.
            score: generates the validation captions with the model as it is, and gives their CIDEr.
            params: how to learn.
            recorder: gets ``train_loss`` and ``lr`` by step, ``val_loss`` and ``val_CIDEr`` by epoch.
        """
        self.model, self.train, self.val, self.score = model, train, val, score
        self.params, self.recorder = params, recorder
        self.device = next(model.parameters()).device
        self.schedule = Schedule(params.schedule, len(train.batches), params.epochs)
        self.optimizer = self._optimizer()
        self.history = History()
        self.step = 0

    def _optimizer(self) -> torch.optim.Optimizer:
        learned = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        kind = torch.optim.Adam if self.params.optimizer == "adam" else torch.optim.AdamW
        return kind(learned, lr=self.params.lr, weight_decay=self.params.weight_decay, fused=True)

    def run(self) -> History:
        """Train until the last epoch, or until CIDEr has not risen for ``patience`` epochs.

        Raises:
            CapflowError: the loss is no longer a number.
        """
        best = self.model.state_dict()
        for epoch in range(1, self.params.epochs + 1):
            row = self._epoch(epoch)
            if row["val_CIDEr"] > self.history.best_cider:
                self.history.best_epoch, self.history.best_cider = epoch, row["val_CIDEr"]
                best = copy.deepcopy(self.model.state_dict())
            elif self.params.patience and epoch - self.history.best_epoch >= self.params.patience:
                logger.info("CIDEr has not risen for %d epochs: stopping.", self.params.patience)
                break
        self.model.load_state_dict(best)
        return self.history

    def _epoch(self, epoch: int) -> Row:
        began = time.monotonic()
        train_loss = self._learn(epoch)
        seconds = time.monotonic() - began
        self.model.eval()
        val_loss = self._val_loss()
        row: Row = {"train_loss": train_loss, "val_loss": val_loss, "val_CIDEr": self.score()}
        self.schedule.epoch_ended(val_loss)
        self.history.epochs.append({"epoch": epoch, "step": self.step, **row})
        speed = self.train.batches.captions_per_epoch() / seconds
        self.recorder.log({"epoch": epoch, "captions_per_second": speed} | _epoch_names(row), self.step)
        logger.info(
            "epoch %d/%d: train loss %.3f, val loss %.3f, val CIDEr %.3f, %.0f captions/s",
            *(epoch, self.params.epochs, train_loss, val_loss, row["val_CIDEr"], speed),
        )
        return row

    def _learn(self, epoch: int) -> float:
        self.model.train()
        losses: list[Tensor] = []
        steps = len(self.train.batches)
        bar = tqdm(self.train.batches.epoch(epoch), f"epoch {epoch}", steps, disable=None, leave=False)
        for batch in bar:
            lr = self.params.lr * self.schedule.factor(self.step)
            losses.append(self._update(batch, lr))
            self.step += 1
            if self.step % self.params.log_every == 0:
                values = {"train_loss": self._finite(losses[-1]), "lr": lr}
                self.history.steps.append({"step": self.step, **values})
                self.recorder.log(values, self.step)
                bar.set_postfix_str(f"loss {values['train_loss']:.3f}", refresh=False)
        return self._finite(torch.stack(losses).mean())

    def _update(self, batch: Batch, lr: float) -> Tensor:
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        loss = self._loss(self.train, batch, self.params.label_smoothing)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if self.params.clip:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.params.clip)
        self.optimizer.step()
        return loss.detach()

    def _loss(self, split: Split, batch: Batch, smoothing: float) -> Tensor:
        with autocast(self.device, self.params.precision):
            picture, tokens = batch.picture.to(self.device), batch.tokens.to(self.device)
            return caption_loss(self.model.decoder, split.inputs(batch.rows), picture, tokens, smoothing)

    @torch.inference_mode()
    def _val_loss(self) -> float:
        """Mean loss over the validation captions, without smoothing, so that runs can be compared."""
        total, words = 0.0, 0
        for batch in self.val.batches.epoch(0):
            count = int((batch.tokens[:, 1:] != PAD).sum())
            total += count * self._loss(self.val, batch, smoothing=0.0).item()
            words += count
        return total / words

    def _finite(self, loss: Tensor) -> float:
        value = loss.item()
        if not math.isfinite(value):
            raise CapflowError(
                f"training: the loss is {value} at step {self.step}; lower train.lr or set train.clip."
            )
        return value


def _epoch_names(row: Row) -> Row:
    """``train_loss`` by epoch has a name of its own, beside the one by step."""
    return {"epoch_train_loss" if name == "train_loss" else name: value for name, value in row.items()}
