"""The caption, found or drawn, that is most like all that were drawn."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from capflow.evaluation.agreement import Agreement
from capflow.evaluation.ngrams import Captions
from capflow.models.captioning import Advice, Agree, Writer, sampling_of, search_of, write_captions
from capflow.models.generate import candidates
from capflow.models.inputs import EncodedPixels
from capflow.models.sampling import end_once, sample
from capflow.models.search import read_search, write_search
from capflow.text.vocabulary import END, SPECIALS
from tests.tiny import CPU, VOCABULARY, captioner, captions, generate_params, pixels

COUNT = 9
PARAMS = generate_params(method="consensus", beam=3, drawn=20, batch_size=4, temperature=0.5)


def advice() -> Advice[Tensor]:
    """That of captions with one another."""
    return Advice(agreement())


def agreement() -> Agree[Tensor]:
    """Captions with one another, words weighed by the captions of five pictures."""
    told, ids = captions()
    order = np.argsort(told.images, kind="stable")
    words, lengths = told.said(order)
    agree = Agreement(Captions(words, lengths, np.searchsorted(ids, told.images[order])))
    return lambda tokens, drawn, _seen: agree(tokens, drawn)


MODEL = captioner(0, sharpness=4, decoder={"batch_norm": True}, encoder={"features": "grid"})
IDS = [*range(COUNT)]
SEEN = EncodedPixels(pixels(COUNT), MODEL, CPU)


@torch.inference_mode()
@pytest.mark.parametrize("likelihood", [0.0, 0.1, 0.3])
def test_it_is_the_caption_that_agrees_most_with_those_drawn_and_is_likely(likelihood: float) -> None:
    params = PARAMS.model_copy(update={"likelihood": likelihood})
    features, agree = SEEN(np.arange(COUNT)), agreement()
    found, likely = candidates(MODEL.decoder, features, search_of(PARAMS))
    generator = torch.Generator().manual_seed(PARAMS.seed)
    drawn, log_p = sample(MODEL.decoder, features, sampling_of(PARAMS), PARAMS.drawn, generator)
    every = end_once(torch.cat([found, drawn], 1)[..., :-1], END)
    assert (every != END).all(-1).any(), "some are cut"
    votes = agree(every.numpy(), PARAMS.drawn, features)
    best = (votes + likelihood * torch.cat([likely, log_p.sum(-1)], 1).numpy()).argmax(1)
    assert (best != votes.argmax(1)).any() == (likelihood > 0)
    wanted = [VOCABULARY.decode(every[row, place].tolist()) for row, place in enumerate(best)]
    written = Writer(MODEL.decoder, VOCABULARY, params, Advice(agree))(features, 30)
    assert [said[0].text for said in written] == wanted
    assert wanted != [VOCABULARY.decode(row.tolist()) for row in found[:, 0]]
    assert len({place >= PARAMS.beam for place in best}) == 2, "both kinds are chosen"
    assert all(said == sorted(said, key=lambda caption: -caption.log_p) for said in written)
    assert max(map(len, written)) > PARAMS.beam


@torch.inference_mode()
def test_without_any_drawn_it_is_one_of_the_beam() -> None:
    params, features = PARAMS.model_copy(update={"drawn": 0}), SEEN(np.arange(COUNT))
    found, likely = candidates(MODEL.decoder, features, search_of(PARAMS))
    wanted = np.random.default_rng(0).normal(size=tuple(likely.shape))
    write = Writer(MODEL.decoder, VOCABULARY, params, Advice(lambda *_: wanted))
    chosen = (wanted + params.likelihood * likely.numpy()).argmax(1)
    assert len(set(chosen)) > 1
    write.skip(2)
    assert [said[0].text for said in write(features, 30)] == [
        VOCABULARY.decode(found[row, place].tolist()) for row, place in enumerate(chosen)
    ]


@pytest.mark.parametrize("likelihood", [0.0, 0.1])
def test_a_beam_wider_than_there_are_captions_adds_none(likelihood: float) -> None:
    lengths = {"min_length": 1, "max_length": 1}
    params = PARAMS.model_copy(update={"beam": 40, "likelihood": likelihood} | lengths)
    for captions_of_one in Writer(MODEL.decoder, VOCABULARY, params, advice())(SEEN(np.arange(COUNT)), 60):
        assert len(captions_of_one) == len(VOCABULARY) - len(SPECIALS), "all words"
        assert all(np.isfinite(said.log_p) for said in captions_of_one)


@pytest.mark.parametrize("batch_size", [1, 4, 100])
def test_it_does_not_depend_on_the_pictures_beside_it(batch_size: int) -> None:
    params = PARAMS.model_copy(update={"batch_size": batch_size})
    said = write_captions(MODEL.decoder, IDS, SEEN, VOCABULARY, params, advice=advice())
    assert said == write_captions(MODEL.decoder, IDS, SEEN, VOCABULARY, PARAMS, advice=advice())
    assert len(set(said.values())) > 1


@torch.inference_mode()
def test_pictures_that_others_caption_are_passed_over() -> None:
    whole, part = (Writer(MODEL.decoder, VOCABULARY, PARAMS, advice()) for _ in range(2))
    wanted = whole(SEEN(np.arange(COUNT)))
    part.skip(5)
    assert part(SEEN(np.arange(5, COUNT))) == wanted[5:]


def test_who_votes_is_asked_with_what_is_seen_of_each_picture() -> None:
    """Those agree most, by this vote, that say so many different words as the picture's first number says."""

    def agree(tokens: NDArray[np.int64], _drawn: int, seen: Tensor) -> NDArray[np.float64]:
        wanted = 2 + 5 * torch.sigmoid(seen[:, 0, :1]).double().numpy()
        varied = [[len(set(caption)) for caption in picture] for picture in tokens.tolist()]
        votes: NDArray[np.float64] = -np.abs(np.array(varied) - wanted)
        return votes

    found: list[list[str]] = []
    for size in (2, COUNT):
        params = PARAMS.model_copy(update={"batch_size": size})
        found.append(
            [*write_captions(MODEL.decoder, IDS, SEEN, VOCABULARY, params, advice=Advice(agree)).values()]
        )
    assert found[0] == found[1]
    plain = write_captions(MODEL.decoder, IDS, SEEN, VOCABULARY, PARAMS, advice=advice())
    assert found[0] != [*plain.values()]


def test_a_model_folder_has_no_captions_to_weigh_words_by(tmp_path: Path) -> None:
    write_search(tmp_path, PARAMS.model_copy(update={"hints": 4.0}))
    written = read_search(tmp_path)
    assert written is not None
    assert (written.method, written.beam, written.hints) == ("beam", PARAMS.beam, 0)
    with pytest.raises(ValueError, match="how much captions agree"):
        Writer(MODEL.decoder, VOCABULARY, PARAMS)
    for hinted in PARAMS.model_copy(update={"hints": 4.0}), generate_params(hints=4.0):
        with pytest.raises(ValueError, match="hints are asked for"):
            Writer(MODEL.decoder, VOCABULARY, hinted, advice())
