"""A captioner, its words, pictures and captions, small enough to train within a test."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from capflow.data.captions import EncodedCaptions, TokenisedCaptions
from capflow.models.captioner import Captioner, CaptionerConfig
from capflow.params import GenerateParams, Params, TrainParams
from capflow.text.vocabulary import SPECIALS, Vocabulary

SIDE = 32
CPU = torch.device("cpu")
VOCABULARY = Vocabulary(
    (*SPECIALS, "a", "red", "blue", "ball", "box", "on", "the", "table"), punctuation=False
)

_PARAMS: dict[str, dict[str, Any]] = {
    "data": {"name": "scenes", "root": "data/photos", "max_missing": 0.0},
    "vocab": {"threshold": 1, "punctuation": False},
    "tensors": {"size": SIDE, "fit": "crop"},
    "encoder": {
        "name": "small",
        "weights": "none",
        "padding": "torch",
        "trainable": False,
        "features": "pooled",
        "mirrored": False,
        "crops": 0,
    },
    "decoder": {
        "name": "lstm",
        "embedding": 12,
        "hidden": 16,
        "layers": 1,
        "heads": 2,
        "attention": 10,
        "project": 0,
        "doubly_stochastic": 1.0,
        "dropout": 0.0,
        "tied": False,
        "inject": "first",
        "batch_norm": False,
    },
    "train": {
        "start": "none",
        "epochs": 2,
        "batch_size": 4,
        "batches": "padded",
        "accumulate": 1,
        "optimizer": "adam",
        "lr": 0.01,
        "weight_decay": 0.0,
        "clip": 0.0,
        "ema": 0.0,
        "label_smoothing": 0.0,
        "scheduled_sampling": 0.0,
        "precision": "fp32",
        "patience": 0,
        "log_every": 1,
        "schedule": {"name": "constant", "warmup": 0.0, "every": 1, "factor": 0.1, "patience": 0},
        "augment": {"crop": 0, "area": 1.0, "flip": False},
        "encoder": {"from_epoch": 1, "from_layer": "all", "rate": 1.0},
        "self_critical": {"epochs": 0, "lr": 0.01, "samples": 5, "bleu": 0.0},
    },
    "generate": {
        "splits": ["val", "test"],
        "models": [],
        "method": "beam",
        "max_length": 8,
        "min_length": 0,
        "no_repeat": 0,
        "beam": 1,
        "length_penalty": 0.0,
        "groups": 1,
        "diversity": 0.0,
        "temperature": 1.0,
        "top_k": 0,
        "top_p": 1.0,
        "seed": 1,
        "batch_size": 4,
    },
    "evaluate": {"spice": False},
}


def params(**changes: dict[str, Any]) -> Params:
    """All parameters, with changes to some sections."""
    return Params.model_validate(
        {"seed": 1} | {name: section | changes.get(name, {}) for name, section in _PARAMS.items()}
    )


def train_params(**changes: Any) -> TrainParams:
    return params(train=changes).train


def generate_params(**changes: Any) -> GenerateParams:
    return params(generate=changes).generate


def captioner(
    seed: int = 0, *, sharpness: float = 1.0, crop: int = 0, **changes: dict[str, Any]
) -> Captioner:
    """A captioner with random weights, in evaluation mode.

    Args:
        seed: of the weights.
        sharpness: what the decoder's weights are multiplied with; with 4, say, it says different
            things of different pictures.
        crop: the side of the centre that the encoder sees.
        changes: to the sections of the parameters.
    """
    torch.manual_seed(seed)
    chosen = params(**changes)
    config = CaptionerConfig(
        encoder=chosen.encoder,
        decoder=chosen.decoder,
        tensors=chosen.tensors,
        crop=crop,
        words=len(VOCABULARY),
    )
    model = Captioner(config).eval()
    with torch.no_grad():
        # The picture would drown in untrained places, and in sharpened words.
        for name, weight in model.encoder.named_parameters():
            weight.mul_(0.05 if name.endswith("place.weight") else 1.0)
        for name, weight in model.decoder.named_parameters():
            weight.mul_(0.1 * sharpness if name == "embed.weight" and sharpness > 1 else sharpness)
    return model


def pixels(count: int, seed: int = 0) -> NDArray[np.uint8]:
    """Pictures of coarse random blocks, uint8 [count, SIDE, SIDE, 3]."""
    blocks = np.random.default_rng(seed).integers(0, 256, (count, 4, 4, 3), np.uint8)
    return blocks.repeat(SIDE // 4, 1).repeat(SIDE // 4, 2)


def captions() -> tuple[EncodedCaptions, NDArray[np.int64]]:
    """Ten different captions, two of each of five pictures, and the ids of the pictures, row by row."""
    texts = {
        30: ("a red ball", "the ball on the table"),
        10: ("a blue box", "the blue box on the table"),
        50: ("a red box", "the box"),
        20: ("a blue ball", "the red ball on the box"),
        40: ("the table", "a red table"),
    }
    tokenised = ((image, text.split()) for image, told in texts.items() for text in told)
    encoded = EncodedCaptions.encode(TokenisedCaptions.of(tokenised), VOCABULARY)
    return encoded, np.array(sorted(texts), np.int64)
