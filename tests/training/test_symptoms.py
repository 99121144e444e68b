"""What training warns of."""

import logging

import numpy as np
import pytest
import torch

from capflow.data.batches import Batches
from capflow.models.inputs import EncodedPixels
from capflow.training.symptoms import bad_endings, symptom
from capflow.training.validation import Validation
from tests.tiny import CPU, VOCABULARY, captioner, captions, params, pixels

SEEN = torch.randn(4, 2, 8, generator=torch.Generator().manual_seed(0))
BLIND = torch.ones(4, 2, 1) * torch.arange(8)


@pytest.mark.parametrize(
    ("captions", "features", "named"),
    [
        (["a dog", "a dog"], SEEN, "the same caption ('a dog'); the decoder does not look at the picture"),
        (["a dog", "a dog"], BLIND, "the same caption ('a dog'); the encoder sees no difference"),
        (["", ""], torch.zeros(4, 2, 8), "the same caption (''); the encoder sees no difference"),
        (["a dog", "a cat"], SEEN, "all validation captions have 2 words"),
        (["a dog runs", "a cat sits"], SEEN, "cut at generate.max_length (3 words)"),
    ],
)
def test_captions_that_are_too_much_alike_are_named_with_a_cause(
    captions: list[str], features: torch.Tensor, named: str
) -> None:
    told = symptom(captions, features, max_length=3)
    assert named in told
    # Rewards may have done all of it, but not that an encoder sees nothing.
    assert ("train.self_critical.lr" in told) == ("encoder sees no difference" not in told)


@pytest.mark.parametrize("captions", [["a dog", "a big dog"], ["a dog"]])
def test_other_captions_are_not(captions: list[str]) -> None:
    assert symptom(captions, BLIND, max_length=2) == ""


def test_captions_that_break_off() -> None:
    assert bad_endings(["a man with a", "a man on", "a man", "", "banana"]) == pytest.approx(0.4)
    assert bad_endings(["a man with a .", "a man .", "."]) == pytest.approx(1 / 3)


def test_validation_warns(caplog: pytest.LogCaptureFixture) -> None:
    model = captioner()
    ids = [10, 20, 30]
    references = {image: ["a red ball"] for image in ids}
    seen = EncodedPixels(pixels(3), model, CPU)
    told = Batches(captions()[0], np.array([10, 20, 30]), 4, "padded", 1)
    validate = Validation.of(model, (ids, seen), told, references, VOCABULARY, params())
    with caplog.at_level(logging.WARNING), torch.no_grad():
        model.decoder.vocabulary.weight.zero_()  # type: ignore[union-attr, operator]
        assert set(validate()) == {"val_loss", "val_CIDEr", "val_bad_endings"}
    assert "every validation picture gets the same caption" in caplog.text
