"""When checkpoints are made: where a stop is heeded, of what good weights, in a small share of the time."""

import signal
import time
from pathlib import Path

import pytest
import torch

from capflow.errors import CapflowError
from capflow.interruption import Stopped, Stops
from capflow.training import keeping
from capflow.training.checkpoint import Checkpoints
from capflow.training.keeping import Keeper
from capflow.training.loop import Trainer
from capflow.training.state import State
from tests.tiny import captioner, train_params
from tests.training.stored import scripted, trainer

TRAINING = "a" * 64


def newest_step(folder: Path) -> int | None:
    found = Checkpoints(folder, TRAINING).newest()
    return found and int(found.values["step"])


def keeper(folder: Path, training: Trainer, stops: Stops | None = None) -> Keeper:
    return Keeper(training, Checkpoints(folder, TRAINING), stops or Stops())


@pytest.fixture
def _at_each_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "INTERVAL", 0.0)
    monkeypatch.setattr(keeping, "_SHARE", 1e9)


@pytest.mark.usefixtures("_at_each_step")
@pytest.mark.parametrize(("bad", "epochs"), [(1, 2), (2, 2), (3, 2), (4, 2), (5, 2), (6, 2), (3, 1)])
def test_row_42_weights_that_are_no_numbers_are_not_kept(bad: int, epochs: int, tmp_path: Path) -> None:
    """The last step of an epoch, and of all, included: of that no loss tells."""
    model = captioner()
    training = trainer(train_params(log_every=100, epochs=epochs), scripted(0.1, 0.2), model)

    def poison(*_: object) -> None:
        if training.step + 1 == bad:
            next(model.decoder.parameters()).data.fill_(torch.nan)

    training.phase.optimizer.register_step_post_hook(poison)
    with pytest.raises(CapflowError, match=r"the (loss is nan|weights are no numbers)"):
        keeper(tmp_path, training).run()
    assert newest_step(tmp_path) in ({None} if bad == 1 else {bad - 1})


@pytest.mark.usefixtures("_at_each_step")
def test_a_stop_in_validation_costs_no_step(tmp_path: Path) -> None:
    """Averaged weights stand in the model's place meanwhile."""
    params = train_params(ema=0.9)
    whole = trainer(params, scripted(0.1, 0.2))
    whole.run()
    stops = Stops()

    def interrupted() -> dict[str, float]:
        stops.ask(signal.SIGTERM)
        stops.heed()
        return {}

    left = trainer(params, interrupted)
    with pytest.raises(Stopped) as caught:
        keeper(tmp_path, left, stops).run()
    assert (caught.value.exit_code, newest_step(tmp_path)) == (143, left.step)
    taken_up = trainer(params, scripted(0.1, 0.2))
    keeper(tmp_path, taken_up).run()
    assert taken_up.history == whole.history
    weights = whole.model.state_dict()
    assert all(torch.equal(weights[name], tensor) for name, tensor in taken_up.model.state_dict().items())


def test_checkpoints_take_a_small_share_of_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a clock on which a step takes a second and a checkpoint four."""
    clock = {"now": 0.0, "saving": 0.0}
    monkeypatch.setattr(time, "monotonic", lambda: clock["now"])
    checkpoints = Checkpoints(tmp_path, TRAINING)

    def slow(_: State) -> None:
        clock["now"] += 4
        clock["saving"] += 4

    monkeypatch.setattr(checkpoints, "save", slow)
    keeper = Keeper(trainer(train_params()), checkpoints, Stops())
    for step in range(1, 3000):
        clock["now"] += 1
        keeper._moment(step % 3 == 0)
    assert 0.01 < clock["saving"] / clock["now"] <= 0.0225
