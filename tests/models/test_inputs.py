"""What the decoder sees of pictures: views, crops, mirror images, and nothing random outside of training."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from capflow.models.captioner import Captioner
from capflow.models.inputs import (
    AugmentedPixels,
    EncodedPixels,
    ResidentFeatures,
    StoredFeatures,
)
from capflow.params import AugmentParams
from tests.tiny import CPU, SIDE, captioner, pixels

COUNT = 64
ROWS = np.arange(COUNT)


def places() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Pictures whose every pixel says where it is: its row, its column, and the number of its picture."""
    down, across, picture = np.meshgrid(range(SIDE), range(SIDE), range(COUNT), indexing="ij")
    return np.stack([down, across, picture], -1).transpose(2, 0, 1, 3).astype(np.uint8)


def spied(model: Captioner) -> list[Tensor]:
    """The pixels that the encoder of a model gets, call by call."""
    seen: list[Tensor] = []
    model.encoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    return seen


def augmented(crop: int, *, area: float = 1.0, flip: bool, seed: int = 1) -> Callable[[], Tensor]:
    """Gives, at each call, what the encoder gets of all pictures."""
    model = captioner()
    seen = spied(model)
    random = torch.Generator().manual_seed(seed)
    inputs = AugmentedPixels(places(), model, CPU, AugmentParams(crop=crop, area=area, flip=flip), random)

    def draw() -> Tensor:
        inputs(ROWS)
        return seen.pop()

    return draw


def windows(drawn: Tensor) -> Tensor:
    """Top, left and whether mirrored, int64 [COUNT, 3]; each picture must be that window of its own."""
    side = drawn.shape[1]
    top, left = drawn[:, 0, 0, 0].long(), drawn[..., 1].amin((1, 2)).long()
    mirrored = (drawn[:, 0, 0, 1] > drawn[:, 0, -1, 1]).long()
    whole = torch.from_numpy(places())
    for row, picture in enumerate(drawn):
        window = whole[row, top[row] : top[row] + side, left[row] : left[row] + side]
        assert torch.equal(picture, window.flip(1) if mirrored[row] else window)
    return torch.stack([top, left, mirrored], 1)


def test_crops_lie_anywhere_inside_and_flips_are_mirror_images() -> None:
    draw = augmented(SIDE - 4, flip=True)
    top, left, mirrored = torch.cat([windows(draw()) for _ in range(4)]).T
    assert set(top.tolist()) == set(left.tolist()) == {0, 1, 2, 3, 4}
    assert not torch.equal(top, left)
    assert 0.4 < mirrored.float().mean() < 0.6


@pytest.mark.parametrize("crop", [0, SIDE])
def test_a_crop_of_everything_changes_nothing(crop: int) -> None:
    assert torch.equal(augmented(crop, flip=False)(), torch.from_numpy(places()))
    assert set(windows(augmented(crop, flip=True)())[:, 2].tolist()) == {0, 1}


@pytest.mark.parametrize("crop", [0, SIDE - 4])
def test_resized_crops_show_parts_of_any_size_and_shape_inside(crop: int) -> None:
    draw = augmented(crop, area=0.25, flip=False)
    drawn = torch.cat([draw() for _ in range(4)]).float()
    side = crop or SIDE
    assert drawn.shape == (4 * COUNT, side, side, 3)
    # Pixels say their places, so the distance of two neighbours is how much the part was enlarged.
    steps = torch.stack(
        [drawn[:, side - 4, 0, 0] - drawn[:, 3, 0, 0], drawn[:, 0, side - 4, 1] - drawn[:, 0, 3, 1]]
    )
    height, width = (steps / (side - 7) * side / SIDE).clamp(max=1)
    assert (height * width).min() > 0.2
    assert (height * width).min() < 0.35
    assert (height * width).max() > 0.9
    assert (height / width).log().abs().max() < np.log(4 / 3) + 0.15
    assert drawn[..., :2].min() < 1
    assert drawn[..., :2].max() > SIDE - 2


def test_who_draws_a_part_of_the_pictures_sees_what_all_would() -> None:
    model = captioner()
    seen, drawn = spied(model), []
    for part in (slice(None), slice(5, 9)):
        random = torch.Generator().manual_seed(1)
        AugmentedPixels(places(), model, CPU, AugmentParams(crop=0, area=0.3, flip=True), random)(ROWS, part)
        drawn.append(seen.pop())
    assert torch.equal(drawn[0][5:9], drawn[1])


def test_a_seed_decides_all_draws() -> None:
    first, again, other = (augmented(SIDE - 4, area=0.9, flip=True, seed=seed) for seed in (1, 1, 2))
    drawn = first()
    assert torch.equal(drawn, again())
    assert torch.equal(first(), again())
    assert not torch.equal(drawn, first())
    assert not torch.equal(drawn, other())


@pytest.mark.parametrize(("crop", "margin"), [(0, 0), (SIDE - 4, 2)])
def test_without_augmentation_the_centre_is_seen(crop: int, margin: int) -> None:
    model = captioner(crop=crop)
    seen = spied(model)
    rows = np.array([5, 2])
    features = EncodedPixels(places(), model, CPU)(rows)
    centre = torch.from_numpy(places()[rows, margin : SIDE - margin, margin : SIDE - margin])
    assert torch.equal(seen.pop(), centre)
    assert torch.equal(features, model.encoder(centre))


def test_augmented_features_are_those_of_the_encoder() -> None:
    model = captioner(encoder={"features": "grid"})
    random = torch.Generator().manual_seed(1)
    inputs = AugmentedPixels(pixels(3), model, CPU, AugmentParams(crop=0, area=1.0, flip=False), random)
    rows = np.array([2, 0])
    assert torch.equal(inputs(rows), EncodedPixels(pixels(3), model, CPU)(rows))


def stored(views: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float16]]:
    """Features [COUNT, views, 2, 1] that say which picture, view and cell they are."""
    picture, view, cell = np.meshgrid(range(COUNT), range(views), range(2), indexing="ij")
    return (picture + view / 4 + cell / 8).astype(np.float16)[..., None]


@pytest.mark.parametrize(("views", "training"), [(1, False), (2, False), (1, True)])
def test_stored_features_are_the_first_view_unless_there_is_a_choice(views: int, training: bool) -> None:
    random = torch.Generator().manual_seed(1) if training else None
    rows = np.array([7, 3])
    features = StoredFeatures(stored(views), CPU, random)(rows)
    assert features.dtype == torch.float32
    assert features[..., 0].tolist() == [[7.0, 7.125], [3.0, 3.125]]


def test_training_sees_each_picture_in_one_of_its_views_at_random() -> None:
    inputs, again = (StoredFeatures(stored(2), CPU, torch.Generator().manual_seed(seed)) for seed in (1, 1))
    features = inputs(ROWS)
    assert torch.equal(features, again(ROWS))
    assert not torch.equal(features, inputs(ROWS))
    view = (features[:, 0, 0] - torch.arange(COUNT)) * 4
    assert set(view.tolist()) == {0.0, 1.0}
    assert 0.3 < view.mean() < 0.7
    assert torch.equal(features[:, 1], features[:, 0] + 0.125)


@pytest.mark.parametrize("views", [1, 2])
def test_features_that_lie_on_the_device_are_the_same(views: int) -> None:
    mapped = StoredFeatures(stored(views), CPU, torch.Generator().manual_seed(1))
    resident = ResidentFeatures(torch.from_numpy(stored(views)), torch.Generator().manual_seed(1))
    for rows in (ROWS, np.array([7, 3]), np.array([5])):
        assert torch.equal(resident(rows), mapped(rows))
