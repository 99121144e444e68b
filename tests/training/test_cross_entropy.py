"""Scheduled sampling; the loss itself is tested with the decoders and the loop."""

import pytest
import torch

from capflow.text.vocabulary import END, PAD
from capflow.training.cross_entropy import CrossEntropy, caption_loss, with_guesses
from tests.decoders import PICTURE, decoder, every_decoder, example, logits
from tests.tiny import captioner, train_params
from tests.training.stored import batches, inputs


@every_decoder
def test_guesses_are_the_likeliest_words_after_those_that_people_wrote(kind: str) -> None:
    model = decoder(kind).eval()
    features, tokens = example()
    tokens[:, -1] = END
    said = tokens[:, 1:]
    with torch.no_grad():
        likeliest = logits(model, features, PICTURE, tokens)
        likeliest[:, [PAD, END]] = -torch.inf
        all_guessed = with_guesses(model, features, PICTURE, tokens, 1.0)[:, 1:]
        none_guessed = with_guesses(model, features, PICTURE, tokens, 0.0)
        some = with_guesses(model, features, PICTURE, tokens, 0.5)[:, 1:]
    assert torch.equal(none_guessed, tokens)
    fixed = (said == PAD) | (said == END)
    assert torch.equal(all_guessed[fixed], said[fixed])
    assert torch.equal(all_guessed[~fixed], likeliest.argmax(-1)[~fixed[said != PAD]])
    assert torch.all((some == said) | (some == all_guessed))
    assert not torch.equal(some, said)
    assert not torch.equal(some, all_guessed)


def test_guesses_rise_from_none_and_what_is_to_be_said_stays() -> None:
    model = captioner(sharpness=4)
    model.train()
    objective = CrossEntropy(model, inputs(), train_params(scheduled_sampling=1.0))
    plain = CrossEntropy(model, inputs(), train_params())
    batch = next(batches(train_params()).epoch(1))
    assert objective(batch, 0.0).loss == plain(batch, 1.0).loss
    learnt = objective(batch, 1.0)
    features = inputs()(batch.rows)
    guessed = with_guesses(model.decoder, features, batch.picture, batch.tokens, 1.0)
    read = caption_loss(model.decoder, features, batch.picture, batch.tokens, read=guessed)
    assert learnt.loss.item() == pytest.approx(read.item())
    assert learnt.loss > plain(batch, 1.0).loss
    learnt.loss.backward()  # type: ignore[no-untyped-call]
    assert all(weight.grad is not None for weight in model.decoder.parameters())
    assert model.decoder.training


def test_guesses_are_made_as_in_use_and_read_as_in_training() -> None:
    model, ways = captioner(decoder={"dropout": 0.5}), []
    model.train()
    model.decoder.register_forward_pre_hook(lambda decoder, _: ways.append(decoder.training))
    objective = CrossEntropy(model, inputs(), train_params(scheduled_sampling=1.0))
    objective(next(batches(train_params()).epoch(1)), 1.0)
    assert ways == [False, True]
