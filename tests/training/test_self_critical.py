"""Rewards, the sign of the gradient, and whether captions become better."""

from typing import Any

import numpy as np
import pytest
import torch
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider

from capflow.data.batches import Batch, Batches
from capflow.evaluation.expectation import Expectation
from capflow.evaluation.ngrams import Captions
from capflow.models.captioner import DECODERS, Captioner
from capflow.models.decoder import Told
from capflow.models.inputs import EncodedPixels, Inputs
from capflow.models.lookalikes import Lookalikes
from capflow.params import SelfCriticalParams, TrainParams
from capflow.text.vocabulary import END, PAD, START
from capflow.training.phase import Phase
from capflow.training.self_critical import Rewards, SelfCritical, advantage
from tests.tiny import CPU, VOCABULARY, captioner, captions, pixels, train_params
from tests.training.stored import SAMPLING, batches, features, inputs

ROWS = np.array([0, 2, 4])


def ids(*texts: str) -> list[int]:
    words = {word: number for number, word in enumerate(VOCABULARY.words)}
    return [words[word] for text in texts for word in text.split()]


def rewarded(**changes: float) -> SelfCriticalParams:
    """What is rewarded with what weight."""
    return train_params().self_critical.model_copy(update=changes)


def objective_of(model: Captioner, seen: Inputs, params: TrainParams) -> SelfCritical:
    """Rewards for captions of the five pictures."""
    rewards = Rewards(batches(params), params.self_critical)
    return SelfCritical(model, seen, rewards, SAMPLING, params)


def padded(texts: list[list[str]]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Captions by picture, as word ids."""
    rows = [[ids(text) for text in picture] for picture in texts]
    length = max(len(row) for picture in rows for row in picture)
    return np.array([[row + [PAD] * (length - len(row)) for row in picture] for picture in rows])


@pytest.mark.parametrize("bleu", [0.0, 0.5])
def test_rewards_are_those_of_pycocoevalcap_with_the_end_as_a_word(bleu: float) -> None:
    said = [
        ["a blue box <end>", "a red box on the", "<end>"],
        ["a red ball <end>", "the ball on the table <end>", "a a a a"],
        ["the box <end>", "a red box <end>", "table <end>"],
    ]
    encoded, image_ids = captions()
    truths: dict[int, list[str]] = {}
    for place, image in enumerate(encoded.images):
        row = int(np.searchsorted(image_ids, image))
        words = [VOCABULARY.words[number] for number in encoded.padded(np.array([place]))[0] if number]
        truths.setdefault(row, []).append(" ".join(words[1:]))
    found = Rewards(batches(train_params()), rewarded(bleu=bleu))(ROWS, padded(said))
    for column in range(3):
        # All pictures are scored, as those that have an n-gram are counted among all.
        hypotheses = {row: [truths[row][0]] for row in truths}
        hypotheses |= {int(row): [said[place][column]] for place, row in enumerate(ROWS)}
        scored = dict(sorted(truths.items())), dict(sorted(hypotheses.items()))
        _, cider = Cider().compute_score(*scored)
        _, (*_, bleu_4) = Bleu(4).compute_score(*scored, verbose=0)
        expected = np.array(cider) + bleu * np.array(bleu_4)
        np.testing.assert_allclose(found[:, column], expected[ROWS], rtol=0, atol=1e-12)
    assert found[0, 0] > found[0, 1] > 0


def test_what_others_that_look_alike_let_expect_is_rewarded_with_a_weight() -> None:
    told, image_ids = captions()
    # The fifth picture has no caption.
    split = Batches(told, np.insert(image_ids, 4, 99), 4, "padded", 1)
    rows = np.array([0, 2, 5, 0])
    pictures = torch.randn(6, 8, generator=torch.Generator().manual_seed(0))
    said = np.random.default_rng(0).integers(4, len(VOCABULARY), (4, 3, 5))
    words, lengths, images = split.references()
    known = Captions(words, lengths, np.searchsorted([0, 1, 2, 3, 5], images))
    captioned = pictures[[0, 1, 2, 3, 5]]
    weights = Lookalikes(captioned).weights(pictures[rows])
    assert ((weights == 0) == (torch.tensor([0, 2, 4, 0])[:, None] == torch.arange(5))).all()
    expected = Expectation(known)(said, weights)
    assert np.ptp(expected) > 0
    alone = Rewards(split, rewarded())(rows, said)
    for weight in (0.5, 3.0):
        found = Rewards(split, rewarded(lookalikes=weight), pictures)(rows, said)
        np.testing.assert_allclose(found, alone + weight * expected, rtol=0, atol=1e-4)


def test_the_advantage_is_over_the_mean_of_the_others() -> None:
    rewards = np.array([[1.0, 2.0, 6.0], [0.5, 0.5, 0.5]])
    np.testing.assert_allclose(advantage(rewards), np.array([[1 - 4, 2 - 3.5, 6 - 1.5], [0.0, 0.0, 0.0]]))


def log_p(model: Captioner, caption: list[int], row: int) -> float:
    """Of a caption of a picture, with what may not be said barred."""
    seen = torch.from_numpy(features()[row]).float()
    with torch.no_grad():
        told: Told = model.decoder(seen, torch.tensor([0]), torch.tensor([[START, *caption]]))
        logits = model.decoder.words(told.hidden)
        logits[:, list(SAMPLING.barred)] = -torch.inf
        return float(logits.log_softmax(-1)[range(len(caption)), caption].sum())


@pytest.mark.parametrize("name", DECODERS)
def test_what_is_better_than_the_others_becomes_likelier(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = torch.tensor([[ids("a blue box <end>"), ids("on on on on")]])
    padded = torch.nn.functional.pad(drawn, (0, 1), value=END)
    monkeypatch.setattr("capflow.training.self_critical.sample", lambda *_: (padded, None))
    model = captioner(decoder={"name": name, "embedding": 16})
    model.train()
    params = train_params(
        self_critical={"epochs": 1, "lr": 0.001, "samples": 2, "bleu": 0.0}, optimizer="adamw"
    )
    objective = SelfCritical(
        model, inputs(), Rewards(batches(params), params.self_critical), SAMPLING, params
    )
    phase = Phase(model, objective, params, 0.001, 1, 1)
    before = [log_p(model, caption, 0) for caption in drawn[0].tolist()]
    loss, reward = phase.update([Batch(np.array([0]), torch.tensor([0]), torch.tensor([[START, END]]))])
    after = [log_p(model, caption, 0) for caption in drawn[0].tolist()]
    rewards = objective._rewards(np.array([0]), drawn.numpy())[0]
    assert reward == pytest.approx(rewards.mean())
    assert rewards[0] > rewards[1]
    better = rewards[0] - rewards[1]
    assert loss == pytest.approx(better * (before[1] - before[0]) / 8, rel=1e-4)
    assert after[0] > before[0]
    assert after[1] < before[1]


def test_captions_are_drawn_without_dropout() -> None:
    """Two trainings of one seed, of which one has used more of the numbers that dropout takes."""
    params = train_params(self_critical={"epochs": 1, "lr": 0.01, "samples": 8, "bleu": 0.0}, batch_size=10)
    rewards = []
    for used in (0, 7):
        model = captioner(decoder={"name": "transformer", "embedding": 16, "dropout": 0.5})
        model.train()
        objective = SelfCritical(
            model, inputs(), Rewards(batches(params), params.self_critical), SAMPLING, params
        )
        torch.rand(used)
        rewards.append(objective(next(batches(params).epoch(1)), 0.0).shown.item())
        assert model.decoder.training
    assert rewards[0] == rewards[1] > 0


def test_an_encoder_that_learns_learns_from_rewards() -> None:
    params = train_params(self_critical={"epochs": 1, "lr": 0.01, "samples": 8, "bleu": 0.0}, batch_size=10)
    model = captioner(encoder={"trainable": True})
    model.train()
    seen = EncodedPixels(pixels(5), model, CPU)
    objective = objective_of(model, seen, params)
    objective(next(batches(params).epoch(1)), 0.0).loss.backward()  # type: ignore[no-untyped-call]
    for name, weight in model.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.abs().sum() > 0, name


@pytest.mark.parametrize("name", DECODERS)
def test_rewards_rise(name: str) -> None:
    model = captioner(decoder={"name": name, "embedding": 16})
    model.train()
    params = train_params(self_critical={"epochs": 1, "lr": 0.01, "samples": 8, "bleu": 0.0}, batch_size=10)
    objective = SelfCritical(
        model, inputs(), Rewards(batches(params), params.self_critical), SAMPLING, params
    )
    phase = Phase(model, objective, params, 0.03, 1, 100)
    batch = next(batches(params).epoch(1))
    rewards = [phase.update([batch])[1].item() for _ in range(40)]
    assert np.mean(rewards[-5:]) > np.mean(rewards[:5]) + 0.3
