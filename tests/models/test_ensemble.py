"""Models that speak together: as one of them alone, as the mean of their probabilities, or not at all."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from capflow.errors import CapflowError
from capflow.models.captioner import save_captioner
from capflow.models.ensemble import Ensemble, load_models
from capflow.models.generate import candidates, generate
from capflow.models.sampling import Sampling, sample
from capflow.photographs import PhotoCaptioner
from capflow.text.vocabulary import SPECIALS, Vocabulary
from tests.decoders import KINDS, SHAPE, decoder, every_decoder, example, logits, sharp
from tests.models.test_decoders_search import SEARCH
from tests.tiny import CPU, VOCABULARY, captioner, generate_params, pixels

SAMPLING = Sampling(start=1, end=2, barred=(0, 1, 3), max_length=7)


@every_decoder
def test_an_ensemble_of_one_says_just_what_its_member_says(kind: str) -> None:
    model, features = sharp(decoder(kind)), example()[0]
    alone, together = candidates(model, features, SEARCH), candidates(Ensemble([model]), [features], SEARCH)
    assert all(map(torch.equal, alone, together))


@every_decoder
def test_a_model_twice_says_what_it_says_alone(kind: str) -> None:
    model, features = sharp(decoder(kind)), example()[0]
    both = Ensemble([model, model])
    tokens, scores = generate(model, features, SEARCH)
    again, same = generate(both, [features, features], SEARCH)
    assert torch.equal(again, tokens)
    torch.testing.assert_close(same, scores, rtol=1e-4, atol=1e-4)
    chance = torch.Generator().manual_seed(1), torch.Generator().manual_seed(1)
    drawn = sample(model, features, SAMPLING, 3, chance[0])[0]
    assert torch.equal(sample(both, [features, features], SAMPLING, 3, chance[1])[0], drawn)


@torch.no_grad()
def test_all_kinds_of_decoders_give_a_word_the_mean_of_their_probabilities() -> None:
    """Each with features of its own, cells and channels included."""
    shapes = [SHAPE._replace(cells=1 + place, channels=8 + place) for place in range(len(KINDS))]
    members = [sharp(decoder(kind, shape)) for kind, shape in zip(KINDS, shapes, strict=True)]
    features = [example(shape)[0] for shape in shapes]
    tokens, scores = generate(Ensemble(members), features, SEARCH)
    for row, caption in enumerate(tokens.clone()):
        words = torch.cat([caption.new_tensor([1]), caption])[None]
        p = torch.stack([
            logits(member, seen[[row]], torch.tensor([0]), words).softmax(-1)
            for member, seen in zip(members, features, strict=True)
        ]).mean(0)  # fmt: skip
        p[:, list(SEARCH.barred)] = 0
        log_p = (p / p.sum(-1, keepdim=True)).log().gather(1, caption[:, None])[:, 0]
        said = length_of(caption)
        assert float(log_p[:said].sum()) == pytest.approx(float(scores[row]), abs=1e-3)


def length_of(caption: Tensor) -> int:
    """Words and the end, if it was said."""
    tokens = caption.tolist()[: SEARCH.max_length]
    return tokens.index(SEARCH.end) + 1 if SEARCH.end in tokens else len(tokens)


def saved(folder: Path, seed: int, vocabulary: Vocabulary = VOCABULARY) -> Path:
    model = captioner(seed, sharpness=4, decoder={"batch_norm": True}, encoder={"features": "grid"})
    save_captioner(folder, model, vocabulary)
    return folder


def test_photographs_get_captions_of_models_together(tmp_path: Path) -> None:
    one, other = saved(tmp_path / "one", 3), saved(tmp_path / "other", 4)
    params, pictures = generate_params(beam=2), list(pixels(5))
    alone = PhotoCaptioner.load(one)(pictures, params)
    twice = PhotoCaptioner.load(one, one)(pictures, params)
    assert [caption.text for caption in twice] == [caption.text for caption in alone]
    together = PhotoCaptioner.load(one, other)(pictures, params)
    assert together != alone
    assert together != PhotoCaptioner.load(other)(pictures, params)


def test_models_of_different_words_do_not_speak_together(tmp_path: Path) -> None:
    words = (*SPECIALS, *reversed(VOCABULARY.words[len(SPECIALS) :]))
    one = saved(tmp_path / "one", 3)
    other = saved(tmp_path / "other", 4, Vocabulary(words, punctuation=False))
    with pytest.raises(CapflowError, match=r"other: vocab\.json differs from that of .*one, so they cannot"):
        load_models([one, other], CPU)


def test_the_best_captions_differ_and_come_from_best_to_worst(tmp_path: Path) -> None:
    captioner = PhotoCaptioner.load(saved(tmp_path / "one", 3))
    pictures = list(pixels(5))
    for params in (
        generate_params(beam=6),
        generate_params(beam=6, groups=3),
        generate_params(method="sample", batch_size=2),
    ):
        written = captioner.best(pictures, captioner.writer(params), 4)
        assert [captions[0] for captions in written] == [
            captions[0] for captions in captioner.best(pictures, captioner.writer(params), 4)
        ]
        assert any(len(captions) > 1 for captions in written)
        for captions in written:
            assert 1 <= len(captions) <= 4
            assert len({text for text, _ in captions}) == len(captions)
        if params.method == "sample":
            assert all(captions == sorted(captions, key=lambda c: -c.log_p) for captions in written)


def test_drawn_captions_do_not_depend_on_how_pictures_are_handed_over(tmp_path: Path) -> None:
    captioner = PhotoCaptioner.load(saved(tmp_path / "one", 3))
    pictures = list(pixels(6))
    whole, parts = (captioner.writer(generate_params(method="sample", batch_size=size)) for size in (6, 2))
    texts = [caption.text for (caption,) in captioner.best(pictures, whole, 1)]
    again = captioner.best(pictures[:3], parts, 1) + captioner.best(pictures[3:], parts, 1)
    assert [caption.text for (caption,) in again] == texts
    assert len(set(texts)) > 1


def test_models_that_are_read_have_no_batch_norms_left_in_their_encoders(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "other")]
    for folder in folders:
        save_captioner(folder, captioner(), VOCABULARY)
    for model in load_models(folders, CPU)[0]:
        assert not any(isinstance(layer, torch.nn.BatchNorm2d) for layer in model.encoder.modules())
