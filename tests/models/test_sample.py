"""Captions drawn at random."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from capflow.models.captioning import search_of
from capflow.models.decoder import Decoder
from capflow.models.sample import sample
from capflow.text.vocabulary import END, PAD, START, UNK
from tests.decoders import decoder, every_decoder, example, sharp
from tests.tiny import generate_params

SEARCH = search_of(generate_params(max_length=6))


def draw(model: Decoder, count: int, seed: int = 0, max_length: int = 6) -> Tensor:
    search = replace(SEARCH, max_length=max_length)
    return sample(model, example()[0], search, count, torch.Generator().manual_seed(seed))


@every_decoder
def test_first_words_are_as_frequent_as_they_are_likely(kind: str) -> None:
    model = sharp(decoder(kind))
    features, count = example()[0], 4000
    with torch.no_grad():
        logits, _ = model.step(torch.full((len(features),), START), model.init(features))
        logits[:, [PAD, START, UNK]] = -torch.inf
    drawn = draw(model, count, max_length=1)[:, :, 0]
    found = torch.stack([row.bincount(minlength=logits.shape[1]) for row in drawn]) / count
    wanted = logits.softmax(-1)
    away = (found[:, None] - wanted).abs().sum(-1)  # of each picture's words from each picture's
    assert torch.equal(away.argmin(1), torch.arange(len(features)))
    assert away.diagonal().max() < 0.1


@every_decoder
def test_what_follows_depends_on_what_was_drawn_and_an_end_is_the_last_word(kind: str) -> None:
    model = sharp(decoder(kind))
    drawn = draw(model, 50)
    assert drawn.shape[:2] == (3, 50)
    assert drawn.shape[2] <= 6
    assert not any((drawn == token).any() for token in (PAD, START, UNK))
    ended = (drawn == END).cumsum(-1) > 0
    assert torch.equal(ended, drawn == END)
    assert torch.equal(drawn, draw(model, 50))
    assert not torch.equal(drawn, draw(model, 50, seed=1)[..., : drawn.shape[2]])


def test_numbers_that_are_none_are_left_to_the_loss() -> None:
    model = decoder("lstm").eval()
    with torch.no_grad():
        next(model.parameters()).fill_(torch.nan)
    assert not torch.isin(draw(model, 2), torch.tensor([PAD, START, UNK])).any()


@pytest.mark.parametrize("count", [1, 3])
def test_captions_of_a_picture_lie_together(count: int) -> None:
    model = sharp(decoder("attention", batch_norm=False))
    with torch.no_grad():
        model.vocabulary.weight.mul_(1000)  # type: ignore[union-attr, operator]
    drawn = draw(model, count)
    assert torch.equal(drawn, drawn[:, :1].expand_as(drawn))
    assert not torch.equal(drawn[0], drawn[1])
