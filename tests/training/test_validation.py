"""What an epoch is worth: the losses of what people said, and the score that chooses the epoch."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from capflow.data.batches import Batches
from capflow.evaluation.scores import CiderScorer
from capflow.models.captioner import Captioner
from capflow.models.captioning import write_captions
from capflow.models.inputs import EncodedPixels
from capflow.training.validation import ReadAlong, Validation
from tests.tiny import CPU, VOCABULARY, captioner, captions, generate_params, params, pixels

IDS = [10, 20, 30, 40, 50]
GREEDY = generate_params(beam=1)
WIDE: dict[str, Any] = {"beam": 8, "min_length": 5, "no_repeat": 1, "groups": 2}
HINTED = WIDE | {"hints": 4.0}
REFERENCES = {image: ["a red ball"] for image in IDS}


def sharp_model() -> Captioner:
    encoder = {"features": "grid", "trainable": True}
    return captioner(6, sharpness=8, decoder={"batch_norm": True, "inject": "every"}, encoder=encoder)


def told(size: int = 4, order: Any = "padded") -> Batches:
    return Batches(*captions(), size, order, 1)


def validation(
    model: Captioner, references: dict[int, list[str]], batches: Batches | None = None
) -> Validation:
    pictures = (IDS, EncodedPixels(pixels(len(IDS)), model, CPU))
    chosen = params(generate=HINTED | {"batch_size": 1}, train={"batch_size": 2})
    return Validation.of(model, pictures, batches or told(), references, VOCABULARY, chosen)


def test_pictures_come_in_batches_of_training() -> None:
    """Sums are rounded by the size of a batch, and only what train says tells trainings apart."""
    sizes: list[int] = []
    model = sharp_model()
    model.encoder.register_forward_pre_hook(lambda _, given: sizes.append(len(given[0])))
    validation(model, REFERENCES)()
    assert sizes == [2, 2, 1]


def test_it_is_the_cider_of_greedy_captions_of_the_model_as_it_is() -> None:
    model = sharp_model()
    inputs = EncodedPixels(pixels(len(IDS)), model, CPU)
    said = write_captions(model.decoder, IDS, inputs, VOCABULARY, GREEDY)
    assert said != write_captions(model.decoder, IDS, inputs, VOCABULARY, generate_params(**WIDE))
    references = {image: [f"{caption} .", "A red ball on the table"] for image, caption in said.items()}
    # Pictures without a row are not validated on.
    validate = validation(model, references | {999: ["a box"]})
    best = validate()["val_CIDEr"]
    assert best == pytest.approx(CiderScorer(references)(said))
    assert best > 1
    with torch.no_grad():
        for weight in model.decoder.parameters():
            weight.neg_()
    assert validate()["val_CIDEr"] < best / 2


@pytest.mark.parametrize("alike", [False, True])
@pytest.mark.parametrize("order", ["padded", "length"])
def test_each_picture_is_encoded_once_for_losses_captions_and_warnings(alike: bool, order: str) -> None:
    model, seen = sharp_model(), Counter[bytes]()
    if alike:
        with torch.no_grad():
            model.decoder.vocabulary.weight.zero_()  # type: ignore[union-attr, operator]

    def count(_: torch.nn.Module, given: tuple[Tensor]) -> None:
        seen.update(picture.numpy().tobytes() for picture in given[0])

    model.encoder.register_forward_pre_hook(count)
    validate = validation(model, REFERENCES, told(order=order))
    assert list(validate()) == ["val_loss", "val_CIDEr", "val_bad_endings"]
    assert seen == Counter(picture.tobytes() for picture in pixels(len(IDS)))


def test_the_loss_does_not_depend_on_how_many_are_shown_or_read_together() -> None:
    model = sharp_model()
    inputs = EncodedPixels(pixels(len(IDS)), model, CPU)

    def loss(shown: int, read: int) -> float:
        reading = ReadAlong(model, inputs, told(read), "fp32")
        for rows in np.split(np.arange(len(IDS)), range(shown, len(IDS), shown)):
            assert torch.equal(reading(rows), inputs(rows))
        return reading.loss()

    losses = [loss(shown, read) for shown in (1, 2, 5) for read in (1, 3, 10)]
    assert losses == pytest.approx([losses[-1]] * 9)


def test_pictures_of_which_nobody_said_anything_have_no_loss() -> None:
    model = sharp_model()
    inputs = EncodedPixels(pixels(7), model, CPU)
    reading = ReadAlong(model, inputs, told(), "fp32")
    for rows in (np.array([5, 6]), np.arange(5)):
        assert len(reading(rows)) == len(rows)
    without = ReadAlong(model, inputs, told(), "fp32")
    without(np.arange(5))
    assert reading.loss() == without.loss()
