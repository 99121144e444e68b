"""Models on disk, and what they say of pictures, whichever way the pictures come."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from capflow.errors import CapflowError
from capflow.files import read_json, write_json
from capflow.models.captioner import DECODERS, Captioner, load_captioner, save_captioner
from capflow.models.captioning import write_captions
from capflow.models.inputs import EncodedPixels
from capflow.photographs import PhotoCaptioner
from tests.tiny import CPU, SIDE, VOCABULARY, captioner, generate_params, pixels

COUNT = 7


def told(model: Captioner, batch_size: int = 4, beam: int = 2) -> dict[int, str]:
    """The captions of some pictures, whose ids begin at 100."""
    params = generate_params(batch_size=batch_size, beam=beam)
    ids = [100 + row for row in range(COUNT)]
    return write_captions(model.decoder, ids, EncodedPixels(pixels(COUNT), model, CPU), VOCABULARY, params)


def talkative() -> Captioner:
    """A captioner that says different things of different pictures."""
    return captioner(0, sharpness=4, decoder={"batch_norm": True}, encoder={"features": "grid"})


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    save_captioner(tmp_path / "model", talkative(), VOCABULARY)
    return tmp_path / "model"


def test_captions_do_not_depend_on_the_batch_and_hold_words_only() -> None:
    model = talkative()
    captions = told(model, 1)
    assert list(captions) == [100 + row for row in range(COUNT)]
    assert len(set(captions.values())) > 2
    assert {word for caption in captions.values() for word in caption.split()} <= set(VOCABULARY.words[4:])
    for batch_size in (2, COUNT, 100):
        assert told(model, batch_size) == captions


def test_no_pictures_have_no_captions() -> None:
    model = captioner()
    nothing = EncodedPixels(pixels(0), model, CPU)
    assert write_captions(model.decoder, [], nothing, VOCABULARY, generate_params()) == {}
    assert PhotoCaptioner([model], VOCABULARY)([], generate_params()) == []


def test_a_model_comes_back_as_it_was(saved: Path) -> None:
    before = talkative()
    model, vocabulary = load_captioner(saved, CPU)
    assert vocabulary == VOCABULARY
    assert model.config == before.config
    assert not model.training
    assert all(torch.equal(value, before.state_dict()[name]) for name, value in model.state_dict().items())
    assert told(model) == told(before)


@pytest.mark.parametrize("name", DECODERS)
@pytest.mark.parametrize("features", ["pooled", "grid"])
def test_every_decoder_comes_back_as_it_was_tied_words_too(tmp_path: Path, name: str, features: str) -> None:
    section = {"name": name, "tied": True, "embedding": 16, "batch_norm": True}
    before = captioner(3, decoder=section, encoder={"features": features})
    save_captioner(tmp_path / "model", before, VOCABULARY)
    model, _ = load_captioner(tmp_path / "model", CPU)
    assert model.config == before.config
    assert told(model) == told(before)
    weights = model.decoder.state_dict(keep_vars=True)
    assert weights["vocabulary.weight"] is weights["embed.weight"]


def test_a_model_from_before_there_were_other_decoders_is_still_read(saved: Path) -> None:
    config = read_json(saved / "config.json")
    first = ("name", "embedding", "hidden", "layers", "dropout", "inject", "batch_norm")
    config["decoder"] = {key: config["decoder"][key] for key in first}
    write_json(saved / "config.json", config)
    assert told(load_captioner(saved, CPU)[0]) == told(talkative())


def test_the_same_model_is_the_same_bytes(saved: Path, tmp_path: Path) -> None:
    save_captioner(tmp_path / "again", talkative(), VOCABULARY)
    for path in saved.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def drop_a_word(path: Path) -> None:
    write_json(path, read_json(path) | {"words": VOCABULARY.words[:-1]})


def drop_a_tensor(path: Path) -> None:
    weights = load_file(path)
    weights.pop("decoder.embed.weight")
    save_file(weights, path)


def no_number(path: Path) -> None:
    weights = load_file(path)
    weights["decoder.embed.weight"][3, 0] = torch.nan
    save_file(weights, path)


def another_decoder(path: Path) -> None:
    config = read_json(path)
    config["decoder"]["hidden"] += 1
    write_json(path, config)


def an_unknown_key(path: Path) -> None:
    write_json(path, read_json(path) | {"colour": "red"})


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("config.json", Path.unlink, "holds no model, as no config.json is there; `dvc repro` makes"),
        ("config.json", cut, r"config\.json: not valid JSON"),
        ("config.json", an_unknown_key, r"config\.json: there is no parameter `colour`"),
        (
            "config.json",
            another_decoder,
            r"model\.safetensors: not the weights of this model .*train it again",
        ),
        ("vocab.json", Path.unlink, r"vocab\.json: there is no such file; mend its path, or run `dvc repro`"),
        ("vocab.json", cut, r"vocab\.json: not valid JSON"),
        ("vocab.json", drop_a_word, r"model: vocab\.json and config\.json differ in size; train"),
        ("model.safetensors", Path.unlink, r"model\.safetensors: there is no such file; run `dvc repro`"),
        ("model.safetensors", cut, r"model\.safetensors: not the weights of this model .*train it again"),
        (
            "model.safetensors",
            no_number,
            r"model\.safetensors: holds infinities or NaN.*train",
        ),
        ("model.safetensors", drop_a_tensor, r"model\.safetensors: .*decoder\.embed\.weight.*train it again"),
    ],
)
def test_a_damaged_model_is_one_sentence(
    saved: Path, name: str, damage: Callable[[Path], None], message: str
) -> None:
    damage(saved / name)
    with pytest.raises(CapflowError, match=message) as caught:
        load_captioner(saved, CPU)
    assert "\n" not in str(caught.value)
    with pytest.raises(CapflowError, match=message):
        PhotoCaptioner.load(saved)


def test_photographs_are_captioned_as_tensors_are() -> None:
    model = talkative()
    pictures = list(pixels(COUNT))
    for batch_size in (2, 100):
        rows = PhotoCaptioner([model], VOCABULARY)(pictures, generate_params(batch_size=batch_size, beam=2))
        assert [caption for caption, _ in rows] == list(told(model).values())
        assert all(log_p < 0 for _, log_p in rows)


def test_photographs_of_any_size_are_resized_first(saved: Path) -> None:
    caption = PhotoCaptioner.load(saved)
    params = generate_params(beam=2)
    wide = np.zeros((2 * SIDE, 6 * SIDE, 3), np.uint8)
    picture = pixels(1)[0]
    wide[:, 2 * SIDE : 4 * SIDE] = picture.repeat(2, 0).repeat(2, 1)
    centre = wide[:, 2 * SIDE : 4 * SIDE]
    tiny = picture[::2, ::2]
    first, second, _ = caption([wide, centre, tiny], params)
    assert first[0] == second[0]
    assert first[1] == pytest.approx(second[1], rel=1e-2)  # resized, pixels differ by a grey level
