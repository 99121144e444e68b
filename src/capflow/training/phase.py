"""Some epochs by one objective: gradients, the optimiser with its rate, and averaged weights."""

from collections.abc import Sequence

import torch
from torch import Tensor

from capflow.data.batches import Batch
from capflow.models.captioner import Captioner
from capflow.models.shared_norm import Sharing
from capflow.params import TrainParams
from capflow.processes import ALONE
from capflow.training.objective import Objective
from capflow.training.optimise import Average, optimizer
from capflow.training.schedule import Schedule


class Phase:
    """One optimiser and one schedule, from the weights that the model has at first."""

    def __init__(
        self,
        model: Captioner,
        objective: Objective,
        params: TrainParams,
        lr: float,
        epochs: int,
        batches: int,
        sharing: Sharing | None = None,
    ) -> None:
        """Prepare the optimiser and the schedule.

        Args:
            model: on its device.
            objective: what to make smaller.
            params: how to learn.
            lr: the rate that the schedule multiplies.
            epochs: how many at most.
            batches: of each epoch.
            sharing: of the model, where several processes have a part of each batch.
        """
        self.objective, self.epochs = objective, epochs
        self.optimizer = optimizer(model, params)
        self.schedule = Schedule(params.schedule, -(-batches // params.accumulate), epochs)
        learning = (weight for group in self.optimizer.param_groups for weight in group["params"])
        self.average = Average([*learning, *model.buffers()], params.ema)
        self.step = 0
        self._model, self._lr, self._clip = model, lr, params.clip
        self._sharing = sharing or Sharing(model, ALONE)

    @property
    def lr(self) -> float:
        """The rate of the next step, of the decoder."""
        return self._lr * self.schedule.factor(self.step)

    def update(self, batches: Sequence[Batch]) -> Tensor:
        """One step, by the gradient of the mean over all batches.

        Returns:
            float [2], the loss, and what the objective shows.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = self.lr * group["rate"]
        self.optimizer.zero_grad(set_to_none=True)
        figures = self._gradients(batches)
        if self._clip:
            torch.nn.utils.clip_grad_norm_(self._model.parameters(), self._clip)
        self.optimizer.step()
        self.average.update()
        self.step += 1
        return figures

    def _gradients(self, batches: Sequence[Batch]) -> Tensor:
        weights = [self.objective.weight(batch) for batch in batches]
        processes, figures = self._sharing.processes, []
        with processes.chances(self.step):
            for batch, weight in zip(batches, weights, strict=True):
                share = weight / sum(weights)
                part = batch.part(processes.rank, processes.count)
                self._sharing.wanted = part.whole is not None and part.copies == 1
                loss, shown = self.objective(part, self.schedule.progress(self.step))
                (share * loss).backward()  # type: ignore[no-untyped-call]
                figures.append(share * torch.stack([loss.detach(), shown]))
        total = torch.stack(figures).sum(0)
        found = [weight.grad for weight in self._model.parameters() if weight.grad is not None]
        processes.add(*found, total)
        return total
