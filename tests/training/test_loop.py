"""The training loop, on ten captions of five pictures."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from capflow.data.batches import Batches
from capflow.errors import CapflowError
from capflow.models.captioner import DECODERS
from capflow.models.devices import seed_everything
from capflow.models.inputs import AugmentedPixels, EncodedPixels
from capflow.params import AugmentParams
from capflow.text.vocabulary import PAD
from capflow.training.cross_entropy import caption_loss
from capflow.training.loop import Split, Trainer
from tests.tiny import CPU, captioner, captions, pixels, train_params
from tests.training.stored import SAMPLING, Notes, features, flat, same, scripted, state, trainer, validating


def test_afterwards_the_model_holds_the_best_epoch() -> None:
    model, seen, script = captioner(), [], scripted(0.1, 0.5, 0.3)

    def score() -> dict[str, float]:
        seen.append(state(model))
        return script()

    history = trainer(train_params(epochs=3), score, model).run()
    assert (history.best_epoch, history.best_cider) == (2, 0.5)
    assert same(model.state_dict(), seen[1])
    assert not same(seen[1], seen[2])


@pytest.mark.parametrize(("scores", "best"), [((0.4, 0.3, 0.2), 0), ((0.4, 0.3, 0.5), 2)])
def test_what_training_starts_from_is_judged_as_epoch_0(scores: tuple[float, ...], best: int) -> None:
    model, seen, script = captioner(), [], scripted(*scores)

    def score() -> dict[str, float]:
        seen.append(state(model))
        return script()

    first = state(model)
    history = trainer(train_params(epochs=2, start="some"), score, model).run()
    assert same(seen[0], first)
    assert [row["epoch"] for row in history.epochs] == [0, 1, 2]
    assert "train_loss" not in history.epochs[0]
    assert history.best_epoch == best
    assert same(model.state_dict(), seen[best])


def test_a_start_may_be_trained_on_rewards_alone() -> None:
    self_critical = train_params().self_critical.model_dump() | {"epochs": 2}
    params = train_params(epochs=0, start="some", self_critical=self_critical)
    history = trainer(params, scripted(0.1, 0.2, 0.3)).run()
    assert [row["epoch"] for row in history.epochs] == [0, 1, 2]
    assert all("reward" in row for row in history.epochs[1:])


@pytest.mark.parametrize(
    ("patience", "scores", "epochs", "best"),
    [
        (0, (0.5, 0.4, 0.3, 0.2, 0.1), 5, 1),
        (1, (0.1, 0.2, 0.2, 0.9, 0.9), 3, 2),
        (2, (0.5, 0.4, 0.5, 0.9, 0.9), 3, 1),
        (2, (0.1, 0.05, 0.2, 0.1, 0.15), 5, 3),
    ],
)
def test_patience_ends_a_training_whose_score_does_not_rise(
    patience: int, scores: tuple[float, ...], epochs: int, best: int
) -> None:
    history = trainer(train_params(epochs=5, patience=patience), scripted(*scores)).run()
    assert [row["val_CIDEr"] for row in history.epochs] == list(scores[:epochs])
    assert history.best_epoch == best


def test_clipping_limits_the_norm_of_the_gradient() -> None:
    def norms(clip: float) -> list[float]:
        training, found = trainer(train_params(clip=clip)), []

        def look(*_: Any) -> None:
            gradients = [weight.grad for weight in training.model.parameters() if weight.grad is not None]
            found.append(torch.cat([gradient.flatten() for gradient in gradients]).norm().item())

        training.phase.optimizer.register_step_pre_hook(look)
        training.run()
        return found

    assert min(norms(0)) > 0.1
    assert norms(0.01) == pytest.approx([0.01] * len(norms(0)), rel=1e-3)


@pytest.mark.parametrize(
    ("schedule", "factors"),
    [
        ({"name": "step"}, [1, 1, 1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.01]),
        ({"name": "constant", "warmup": 0.34}, [1 / 3, 2 / 3, 1, 1, 1, 1, 1, 1, 1]),
        # With so low a rate, the loss is flat from the second epoch on.
        ({"name": "plateau"}, [1, 1, 1, 1, 1, 1, 0.1, 0.1, 0.1]),
    ],
)
def test_the_rate_of_the_schedule_reaches_the_optimiser_and_the_record(
    schedule: dict[str, Any], factors: list[float]
) -> None:
    lr, used, notes = 1e-7, [], Notes()
    whole = train_params().schedule.model_dump() | schedule
    training = trainer(train_params(epochs=3, lr=lr, schedule=whole), recorder=notes)
    training.phase.optimizer.register_step_pre_hook(
        lambda optimizer, *_: used.append(optimizer.param_groups[0]["lr"])
    )
    history = training.run()
    assert used == pytest.approx([lr * factor for factor in factors])
    assert [row["lr"] for row in history.steps] == used
    assert notes.named("lr") == used


@pytest.mark.parametrize(("log_every", "step"), [(1, 1), (2, 2), (100, 3)])
def test_a_loss_that_is_no_number_ends_the_training(log_every: int, step: int) -> None:
    model = captioner()
    with torch.no_grad():
        next(model.decoder.parameters()).fill_(torch.nan)
    training = trainer(train_params(log_every=log_every), model=model)
    with pytest.raises(CapflowError, match=f"the loss is nan at step {step}; lower train.lr"):
        training.run()
    assert training.history.steps == training.history.epochs == []


def test_what_ends_a_self_critical_training_names_the_rate_that_is_at_work() -> None:
    rewarded = {"epochs": 1, "lr": 0.001, "samples": 2, "bleu": 0.0}
    training = trainer(train_params(epochs=1, log_every=1, self_critical=rewarded))
    training.begin_self_critical()
    with torch.no_grad():
        next(training.model.decoder.parameters()).fill_(torch.nan)
    with pytest.raises(CapflowError, match=r"at step 1; lower train\.self_critical\.lr or set train\.clip\."):
        training.run()


def test_history_and_record_have_a_row_for_each_logged_step_and_each_epoch() -> None:
    notes = Notes()
    history = trainer(train_params(log_every=2), scripted(0.1, 0.2), recorder=notes).run()
    assert [row["step"] for row in history.steps] == [2, 4, 6]
    assert all(list(row) == ["step", "train_loss", "lr"] for row in history.steps)
    assert [(row["epoch"], row["step"]) for row in history.epochs] == [(1, 3), (2, 6)]
    assert all(
        list(row) == ["epoch", "step", "train_loss", "val_loss", "val_CIDEr"] for row in history.epochs
    )
    assert [step for step, _ in notes.rows] == [2, 3, 4, 6, 6]
    assert notes.named("train_loss") == [row["train_loss"] for row in history.steps]
    assert notes.named("epoch_train_loss") == [row["train_loss"] for row in history.epochs]
    assert notes.named("val_CIDEr") == [0.1, 0.2]
    assert min(notes.named("captions_per_second")) > 0


@pytest.mark.parametrize("order", ["padded", "length"])
def test_each_epoch_sees_every_caption_once_with_its_picture(order: str) -> None:
    encoded, ids = captions()
    expected = Counter(
        (int(np.flatnonzero(ids == image)[0]), tuple(encoded.padded(np.array([place]))[0].tolist()))
        for place, image in enumerate(encoded.images)
    )
    epochs: list[list[tuple[int, tuple[int, ...]]]] = []
    model = captioner()

    def look(_: torch.nn.Module, given: tuple[Tensor, Tensor, Tensor]) -> None:
        if model.training:
            seen, picture, tokens = given
            assert len(seen) == len(set(picture.tolist()))
            words = [tuple(row[row != PAD].tolist()) for row in tokens]
            epochs[-1] += zip(seen[picture, 0, 0].int().tolist(), words, strict=True)

    def score() -> dict[str, float]:
        epochs.append([])
        return flat()

    score()
    model.decoder.register_forward_pre_hook(look)
    trainer(train_params(batches=order, epochs=2), score, model).run()
    assert [Counter(epoch) for epoch in epochs] == [expected, expected, Counter()]
    assert epochs[0] != epochs[1]


def test_the_validation_loss_is_that_of_all_words_without_smoothing_or_dropout() -> None:
    model = captioner(decoder={"dropout": 0.5})
    history = trainer(train_params(epochs=1, label_smoothing=0.5, lr=1e-9), model=model).run()
    encoded, ids = captions()
    rows = torch.from_numpy(np.searchsorted(ids, encoded.images))
    with torch.no_grad():
        everything = caption_loss(
            model.eval().decoder,
            torch.from_numpy(features())[:, 0].float(),
            rows,
            torch.from_numpy(encoded.padded(np.arange(len(encoded)))),
        )
    assert history.epochs[0]["val_loss"] == pytest.approx(everything.item(), abs=1e-5)


def test_a_golden_loss_curve() -> None:
    history = trainer(train_params(lr=0.03)).run()
    losses = [row["train_loss"] for row in history.steps]
    assert losses[:4] == pytest.approx([2.4903, 2.3628, 2.3617, 2.1947], abs=1e-3)
    assert [row["val_loss"] for row in history.epochs] == pytest.approx([2.1232, 1.8893], abs=1e-3)


@pytest.fixture
def _determinism() -> Iterator[None]:
    """What `seed_everything` sets for the whole process is set back."""
    yield
    torch.use_deterministic_algorithms(mode=False)


@pytest.mark.usefixtures("_determinism")
@pytest.mark.parametrize("name", DECODERS)
def test_one_seed_gives_one_model_bit_for_bit(name: str) -> None:
    def run(seed: int) -> tuple[dict[str, Tensor], list[dict[str, float]]]:
        seed_everything(seed)
        decoder = {"name": name, "dropout": 0.3, "batch_norm": True}
        model = captioner(seed, encoder={"trainable": True, "features": "grid"}, decoder=decoder)
        learning = {
            "ema": 0.9,
            "accumulate": 2,
            "scheduled_sampling": 0.5,
            "self_critical": {"epochs": 1, "lr": 0.001, "samples": 2, "bleu": 0.0},
        }
        params, pictures = train_params(precision="auto", **learning), pixels(5)
        augment = AugmentParams(crop=28, area=1.0, flip=True)
        random = torch.Generator().manual_seed(seed)
        train = AugmentedPixels(pictures, model, CPU, augment, random)
        told = Batches(*captions(), params.batch_size, "padded", seed)
        val = Split(told, EncodedPixels(pictures, model, CPU))
        validate = validating(model, val, flat)
        history = Trainer(model, Split(told, train), validate, SAMPLING, params, Notes()).run()
        return model.state_dict(), history.steps + history.epochs

    first, again, other = run(1), run(1), run(2)
    assert same(first[0], again[0])
    assert first[1] == again[1]
    assert not same(first[0], other[0])
