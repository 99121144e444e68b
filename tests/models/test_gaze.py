"""Where models look, as maps of the picture."""

from pathlib import Path

import numpy as np
import pytest
import torch

from capflow.errors import CapflowError
from capflow.models.captioner import Captioner, save_captioner
from capflow.models.encoder import Encoder
from capflow.models.gaze import attentive, gaze, view
from capflow.params import EncoderParams
from capflow.photographs import PhotoCaptioner
from tests.decoders import ATTENTIVE
from tests.tiny import SIDE, VOCABULARY, captioner, generate_params, params, pixels


def looking(name: str, size: int = SIDE) -> Captioner:
    """A captioner whose decoder has attention."""
    return captioner(
        3, sharpness=4, decoder={"name": name}, encoder={"features": "grid"}, tensors={"size": size}
    )


def features(model: Captioner, count: int) -> torch.Tensor:
    with torch.inference_mode():
        return model.encode(torch.from_numpy(pixels(count)))


@pytest.mark.parametrize("name", ATTENTIVE)
def test_each_word_has_a_map_that_sums_to_one(name: str) -> None:
    model = looking(name, 64)
    grid = torch.randn(3, 10, 128, generator=torch.Generator().manual_seed(0))
    captions = ["a red ball on the table", "", "blue"]
    seen = gaze(model, grid, captions, VOCABULARY)
    assert [" ".join(words) for words, _ in seen] == captions
    for words, maps in seen:
        assert maps.shape == (len(words), 3, 3)
        assert maps.sum((1, 2)) == pytest.approx(np.ones(len(words)), abs=1e-5)
    assert np.ptp(seen[0].maps, 0).max() > 1e-3
    alone = gaze(model, grid[2:], captions[2:], VOCABULARY)
    assert alone[0].maps == pytest.approx(seen[2].maps, abs=1e-6)


@pytest.mark.parametrize("name", ATTENTIVE)
def test_a_map_is_that_of_the_look_before_its_word(name: str) -> None:
    model = looking(name, 64)
    grid = torch.randn(1, 10, 128, generator=torch.Generator().manual_seed(0)).expand(2, -1, -1)
    [_, first], [_, other] = gaze(model, grid, ["a ball red", "blue table red"], VOCABULARY)
    assert first[0] == pytest.approx(other[0], abs=1e-6)
    assert np.abs(first[2] - other[2]).max() > 1e-4


def section(**changes: object) -> EncoderParams:
    return params(encoder={"features": "grid", "trainable": True} | changes).encoder


@pytest.mark.parametrize(("name", "side"), [("small", 64), ("squeezenet1_0", 64)])
def test_the_cells_lie_on_the_picture_as_the_map_says(name: str, side: int) -> None:
    torch.manual_seed(0)
    encoder = Encoder(section(name=name)).eval()
    black = torch.zeros(1, side, side, 3, dtype=torch.uint8)
    lit = black.clone()
    lit[:, -20:, :20] = 255
    with torch.inference_mode():
        changed = (encoder(lit) - encoder(black)).abs().sum(-1)
        whole = changed.clone()
        if name == "small":
            whole[:, 0] = 0
        [seen] = encoder.as_map(whole)
    assert seen.shape[0] == seen.shape[1] == 3
    assert seen.argmax() == 6  # the last row's first


def test_what_the_whole_picture_gets_is_shared() -> None:
    encoder = Encoder(section())
    weights = torch.tensor([0.9, 0.1] + [0.0] * 8)
    assert encoder.as_map(weights).flatten().tolist() == pytest.approx([0.2] + [0.1] * 8)


@pytest.mark.parametrize(
    ("name", "seen", "reason"),
    [
        ("lstm", "grid", "`decoder.name: lstm`, which does not look at the picture word by word"),
        ("attention", "pooled", "`encoder.features: pooled`, one vector for the whole picture"),
    ],
)
def test_a_model_that_does_not_choose_where_to_look_says_so(name: str, seen: str, reason: str) -> None:
    model = captioner(decoder={"name": name}, encoder={"features": seen})
    assert attentive(model) is None
    with pytest.raises(CapflowError, match=f"{reason}.*; train one with"):
        gaze(model, features(model, 1), ["a"], VOCABULARY)


def test_a_model_says_what_it_sees_of_a_picture() -> None:
    assert view(captioner()) == {"fit": "crop", "share": 1.0}
    assert view(captioner(crop=28, tensors={"fit": "squash"})) == {"fit": "squash", "share": 28 / SIDE}


@pytest.mark.parametrize("name", ATTENTIVE)
def test_photographs_have_the_maps_of_their_captions(name: str, tmp_path: Path) -> None:
    model = looking(name)
    save_captioner(tmp_path / "model", model, VOCABULARY)
    picture = pixels(1)[0]
    chosen = generate_params(beam=2)
    [(caption, _)] = PhotoCaptioner([model], VOCABULARY)([picture], chosen)
    words, maps = PhotoCaptioner.load(tmp_path / "model").gaze(picture, chosen)
    assert " ".join(words) == caption
    [expected] = gaze(model, features(model, 1), [caption], VOCABULARY)
    assert maps == pytest.approx(expected.maps, abs=1e-6)
