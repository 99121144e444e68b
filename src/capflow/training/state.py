"""All that a training is between two steps, as numbers: taken from one, and given to another that goes on.

What is here and what the parameters and the data say determine every later step, bit for bit on a CPU.
"""

import math
import random
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from capflow.errors import CapflowError
from capflow.training.history import History
from capflow.training.loop import Trainer
from capflow.training.phase import Phase
from capflow.training.schedule import Flatness

Tensors = Mapping[str, Tensor]


class State(NamedTuple):
    """A training between two steps.

    Attributes:
        values: counters, the history and small states of generators; JSON has room for all of them.
        tensors: weights, the optimiser, averaged weights and states of generators, by name.
        best: the weights of the best epoch; empty while none has a score.
    """

    values: dict[str, Any]
    tensors: Tensors
    best: Tensors


def capture(trainer: Trainer) -> State:
    """The state as it is now; its tensors are the training's own and change with the next step."""
    history = trainer.history
    values = {
        "self_critical": trainer.self_critical,
        "first": trainer.first,
        "epoch": trainer.epoch,
        "step": trainer.step,
        "seconds": trainer.seconds,
        "elapsed": time.monotonic() - trainer.began,
        "history": vars(history),
        "speeds": trainer.speeds,
        "phase": {
            "step": trainer.phase.step,
            "averaged": trainer.phase.average.steps,
            "flatness": asdict(trainer.phase.schedule.flatness),
        },
        "python": random.getstate(),
        "numpy": _numpy_state(),
    }
    return State(values, _tensors(trainer), trainer.best if math.isfinite(history.best_cider) else {})


def restore(trainer: Trainer, state: State) -> None:
    """Make a training that has just been prepared the one whose state this is, and tell its record again.

    Raises:
        CapflowError: the state is of a training of another kind.
    """
    try:
        _restore(trainer, state)
    except (LookupError, TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise CapflowError(
            f"the state of the training does not fit it ({type(error).__name__}: {error}); "
            "remove .capflow/checkpoints to train from the start."
        ) from None
    for row in trainer.history.steps:
        trainer.recorder.log({name: row[name] for name in row if name != "step"}, int(row["step"]))
    for row, speed in zip(trainer.history.epochs, trainer.speeds, strict=True):
        trainer.record_epoch(row, speed)
    if trainer.history.samples:
        trainer.recorder.samples(trainer.history.samples)


def is_sound(state: State) -> bool:
    """Whether all weights and losses are numbers: what has gone wrong is not worth keeping."""
    kept = (tensor for name, tensor in state.tensors.items() if not name.startswith("random."))
    return all(bool(torch.isfinite(tensor).all()) for tensor in kept)


def _restore(trainer: Trainer, state: State) -> None:
    values, saved = state.values, state.tensors
    if values["self_critical"]:
        trainer.begin_self_critical()
    trainer.first, trainer.epoch, trainer.step = values["first"], values["epoch"], values["step"]
    trainer.seconds, trainer.began = values["seconds"], time.monotonic() - values["elapsed"]
    trainer.history, trainer.speeds = History(**values["history"]), values["speeds"]
    if state.best:
        trainer.best = dict(state.best)
    phase, moved = trainer.phase, values["phase"]
    phase.step, phase.average.steps = moved["step"], moved["averaged"]
    phase.schedule.flatness = Flatness(**moved["flatness"])
    trainer.figures = list(saved["figures"].to(trainer.device)) if "figures" in saved else []
    trainer.model.load_state_dict(_below("model", saved))
    for kept, tensor in zip(phase.average.kept, _below("average", saved).values(), strict=True):
        kept.copy_(tensor)
    for index, weight in enumerate(_learning(phase)):
        if found := _below(f"optimizer.{index}", saved):
            phase.optimizer.state[weight] = {name: _like(weight, found[name]) for name in found}
    _restore_random(trainer, values, saved)


def _tensors(trainer: Trainer) -> dict[str, Tensor]:
    phase = trainer.phase
    tensors = {f"model.{name}": tensor for name, tensor in trainer.model.state_dict().items()}
    tensors |= {f"average.{index:06}": tensor for index, tensor in enumerate(phase.average.kept)}
    for index, weight in enumerate(_learning(phase)):
        moments = phase.optimizer.state.get(weight, {})
        tensors |= {f"optimizer.{index}.{name}": tensor for name, tensor in moments.items()}
    if trainer.figures:
        tensors["figures"] = torch.stack(trainer.figures)
    tensors["random.torch"] = torch.get_rng_state()
    if trainer.device.type == "cuda":
        tensors["random.cuda"] = torch.cuda.get_rng_state(trainer.device)
    return tensors | {f"random.{name}": own.get_state() for name, own in _generators(trainer)}


def _learning(phase: Phase) -> list[Tensor]:
    """The weights in the order of the optimiser's groups."""
    return [weight for group in phase.optimizer.param_groups for weight in group["params"]]


def _generators(trainer: Trainer) -> Iterator[tuple[str, torch.Generator]]:
    for name, own in (("views", trainer.train.generator), ("draws", trainer.phase.objective.random)):
        if own is not None:
            yield name, own


def _below(prefix: str, tensors: Tensors) -> dict[str, Tensor]:
    """The tensors whose names begin with ``prefix`` and a dot, without these, in the order of their names."""
    start = f"{prefix}."
    return {name.removeprefix(start): tensors[name] for name in sorted(tensors) if name.startswith(start)}


def _like(weight: Tensor, tensor: Tensor) -> Tensor:
    """What belongs to a weight, laid out in memory as it is, which fused steps rely on; or a counter."""
    if not tensor.dim():
        return tensor.to(weight.device)
    return torch.empty_like(weight, requires_grad=False).copy_(tensor.view(weight.shape))


def _numpy_state() -> list[Any]:
    kind, keys, *rest = np.random.get_state(legacy=True)  # noqa: NPY002 - libraries use it
    return [kind, np.asarray(keys).tolist(), *rest]


def _restore_random(trainer: Trainer, values: Mapping[str, Any], saved: Tensors) -> None:
    version, numbers, gauss = values["python"]
    random.setstate((version, tuple(numbers), gauss))
    kind, keys, *rest = values["numpy"]
    np.random.set_state((kind, np.array(keys, np.uint32), *rest))  # noqa: NPY002
    torch.set_rng_state(saved["random.torch"])
    if trainer.device.type == "cuda":
        torch.cuda.set_rng_state(saved["random.cuda"], trainer.device)
    for name, own in _generators(trainer):
        own.set_state(saved[f"random.{name}"])
