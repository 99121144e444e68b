"""The score that chooses the epoch."""

import pytest
import torch

from capflow.evaluation.scores import CiderScorer
from capflow.models.captioning import write_captions
from capflow.models.inputs import EncodedPixels
from capflow.training.validation import CaptionScore
from tests.tiny import CPU, VOCABULARY, captioner, generate_params, pixels

IDS = list(range(100, 106))


def test_it_is_the_cider_of_greedy_captions_of_the_model_as_it_is() -> None:
    model = captioner(
        6, sharpness=8, decoder={"batch_norm": True, "inject": "every"}, encoder={"features": "grid"}
    )
    inputs = EncodedPixels(pixels(len(IDS)), model, CPU)
    greedy, wide = generate_params(beam=1), generate_params(beam=8, min_length=5, no_repeat=1, groups=2)
    said = write_captions(model.decoder, IDS, inputs, VOCABULARY, greedy)
    assert said != write_captions(model.decoder, IDS, inputs, VOCABULARY, wide)
    references = {image: [f"{caption} .", "A red ball on the table"] for image, caption in said.items()}
    # Pictures without a row are not validated on.
    cider = CaptionScore.of(model, (IDS, inputs), references | {999: ["a box"]}, VOCABULARY, wide)
    best = cider()["val_CIDEr"]
    assert best == pytest.approx(CiderScorer(references)(said))
    assert best > 1
    with torch.no_grad():
        for weight in model.decoder.parameters():
            weight.neg_()
    assert cider()["val_CIDEr"] < best / 2
