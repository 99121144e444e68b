"""Trainings of more than cross-entropy: self-critical epochs, averaged weights, an encoder that waits."""

import pytest
import torch
from torch import Tensor

from capflow.data.batches import Batches
from capflow.models.inputs import EncodedPixels
from capflow.training.loop import Split, Trainer
from stages.train import warn_of_an_encoder_that_stays
from tests.tiny import CPU, captioner, captions, params, pixels, train_params
from tests.training.stored import SAMPLING, Notes, flat, same, scripted, state, trainer, validating


def test_self_critical_epochs_begin_with_the_best_one_and_are_counted_on() -> None:
    model, notes = captioner(), Notes()
    seen: list[dict[str, Tensor]] = []
    script = scripted(0.4, 0.3, 0.5, 0.2)

    def score() -> dict[str, float]:
        seen.append(state(model))
        return script()

    params = train_params(epochs=2, self_critical={"epochs": 2, "lr": 1e-9, "samples": 3, "bleu": 0.0})
    history = trainer(params, score, model, notes).run()
    assert all(torch.allclose(seen[0][name], seen[2][name], atol=1e-6) for name in seen[0])
    assert not same(seen[0], seen[1])
    assert same(model.state_dict(), seen[2])
    assert (history.best_epoch, history.best_cider) == (3, 0.5)
    assert [(row["epoch"], row["step"]) for row in history.epochs] == [(1, 3), (2, 6), (3, 9), (4, 12)]
    assert list(history.steps[-1]) == ["step", "reward", "lr"]
    assert [len(notes.named(name)) for name in ("train_loss", "reward", "epoch_reward")] == [6, 6, 2]
    assert min(notes.named("reward")) >= 0


def test_patience_of_self_critical_epochs_begins_with_them() -> None:
    params = train_params(
        epochs=2, patience=2, self_critical={"epochs": 5, "lr": 0.001, "samples": 2, "bleu": 0.0}
    )
    history = trainer(params, scripted(0.5, 0.4, 0.3, 0.2, 0.9)).run()
    assert [row["val_CIDEr"] for row in history.epochs] == [0.5, 0.4, 0.3, 0.2]


def test_plateau_does_not_move_the_rate_of_self_critical_epochs() -> None:
    schedule = {"name": "plateau", "warmup": 0.0, "every": 1, "factor": 0.1, "patience": 0}
    rewarded = {"epochs": 3, "lr": 1e-9, "samples": 2, "bleu": 0.0}
    history = trainer(train_params(epochs=0, start="some", schedule=schedule, self_critical=rewarded)).run()
    assert [row["lr"] for row in history.steps] == [1e-9] * 9


def test_averaged_weights_are_validated_and_kept_while_others_learn() -> None:
    model, validated, learnt = captioner(), [], []

    def score() -> dict[str, float]:
        validated.append(state(model))
        return {"val_CIDEr": float(len(validated))}

    training = trainer(train_params(epochs=2, ema=0.9), score, model)
    training.phase.optimizer.register_step_pre_hook(lambda *_: learnt.append(state(model)))
    training.run()
    assert same(model.state_dict(), validated[1])
    assert not same(validated[0], learnt[3])  # with which the second epoch begins
    kept = {name: learnt[0][name].clone() for name in learnt[0]}
    after = [*learnt[1:4]]
    for step, weights in enumerate(after, 1):
        decay = min(0.9, step / (step + 9))
        kept = {name: decay * kept[name] + (1 - decay) * weights[name] for name in kept}
    trained = [name for name in kept if name.startswith("decoder")]
    assert all(torch.allclose(kept[name], validated[0][name], atol=1e-6) for name in trained)


def test_an_encoder_learns_from_its_epoch_on() -> None:
    model = captioner(encoder={"trainable": True})
    seen, told = [], Batches(*captions(), 4, "padded", 1)
    split = Split(told, EncodedPixels(pixels(5), model, CPU))

    def score() -> dict[str, float]:
        seen.append(state(model))
        return flat()

    chosen = {"from_epoch": 2, "from_layer": "layers.9", "rate": 0.5}
    params = train_params(epochs=2, encoder=chosen)
    before = state(model)
    Trainer(model, split, validating(model, split, score), SAMPLING, params, Notes()).run()
    changed = [
        {name for name in then if name.startswith("encoder") and not torch.equal(then[name], now[name])}
        for then, now in zip([before, *seen], seen, strict=False)
    ]
    assert changed[0] == set()
    behind = tuple(f"encoder.backbone.layers.{layer}." for layer in (9, 10, 12, 13, 15))
    assert changed[1]
    assert all(name.startswith(behind) for name in changed[1])


@pytest.mark.parametrize(
    ("trainable", "epochs", "rewards", "told"),
    [(True, 3, 0, True), (True, 3, 1, False), (True, 4, 0, False), (False, 3, 0, False)],
)
def test_an_encoder_whose_epoch_never_comes_is_told_once(
    trainable: bool, epochs: int, rewards: int, told: bool, caplog: pytest.LogCaptureFixture
) -> None:
    late = {"from_epoch": 4, "from_layer": "all", "rate": 1.0}
    drawn = {"epochs": rewards, "lr": 0.001, "samples": 2, "bleu": 0.0}
    learning = {"epochs": epochs, "encoder": late, "self_critical": drawn}
    warn_of_an_encoder_that_stays(params(train=learning, encoder={"trainable": trainable}))
    assert len(caplog.records) == told
    assert (
        not told
        or "from epoch 4 on (train.encoder.from_epoch), and training ends with epoch 3" in caplog.text
    )
