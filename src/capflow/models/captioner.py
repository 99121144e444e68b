"""The whole model, encoder and decoder, and how it lies on disk.

A model folder holds ``model.safetensors`` (weights), ``config.json`` (how to build it and how to
prepare a picture) and ``vocab.json``; nothing else is needed to caption a photograph.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field, field_validator
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from capflow.errors import CapflowError
from capflow.files import read_json, write_bytes, write_json, write_text
from capflow.models.attention import AttentionDecoder
from capflow.models.decoder import Decoder, Shape
from capflow.models.encoder import Encoder
from capflow.models.lstm import LSTMDecoder
from capflow.models.transformer import TransformerDecoder
from capflow.models.updown import UpDownDecoder
from capflow.params import DecoderParams, EncoderParams, TensorParams
from capflow.sections import Section, parse
from capflow.text.vocabulary import Vocabulary

DECODERS: dict[str, Callable[[DecoderParams, Shape], Decoder]] = {
    "lstm": LSTMDecoder,
    "attention": AttentionDecoder,
    "updown": UpDownDecoder,
    "transformer": TransformerDecoder,
}
# What the decoder's section of the first models did not say.
_FIRST = {"heads": 1, "project": 0, "attention": 1, "doubly_stochastic": 0.0, "tied": False}


class CaptionerConfig(Section):
    """How to build a model for ``words`` words, and how to prepare a picture for it.

    ``crop`` is the side of the centre that the encoder sees after resizing, in pixels; 0: all.
    """

    encoder: EncoderParams
    decoder: DecoderParams
    tensors: TensorParams
    crop: Annotated[int, Field(ge=0, le=1024)]
    words: Annotated[int, Field(ge=5, lt=2**31)]

    @field_validator("encoder", mode="before")
    @classmethod
    def _before_crops(cls, encoder: Any) -> Any:
        """Models that were written when no crops could be stored are still read."""
        return {"crops": 0} | encoder if isinstance(encoder, dict) else encoder

    @field_validator("decoder", mode="before")
    @classmethod
    def _first_models(cls, decoder: Any) -> Any:
        """Models that were written when there was only ``lstm`` are still read."""
        return _FIRST | decoder if isinstance(decoder, dict) and decoder.get("name") == "lstm" else decoder


class Captioner(nn.Module):
    """Pixels to features to words."""

    def __init__(self, config: CaptionerConfig) -> None:
        """Build both networks with random weights.

        Raises:
            CapflowError: the encoder cannot see pictures of the size that the decoder is to be built for.
        """
        super().__init__()
        self.config = config
        self.encoder = Encoder(config.encoder)
        side = config.crop or config.tensors.size
        shape = Shape(self.encoder.cells(side), self.encoder.channels, config.words)
        self.decoder: Decoder = DECODERS[config.decoder.name](config.decoder, shape)

    def encode(self, pixels: Tensor) -> Tensor:
        """Features, float [N, cells, channels], of the centres of pictures, uint8 [N, size, size, 3]."""
        side = self.config.crop or pixels.shape[1]
        margin = (pixels.shape[1] - side) // 2
        features: Tensor = self.encoder(pixels[:, margin : margin + side, margin : margin + side])
        return features

    def sees_like(self, other: "Captioner") -> bool:
        """Whether both make the same features of the same pictures, however their encoders came to do so."""
        mine, theirs = self.config, other.config
        kind = (mine.encoder.name, mine.encoder.padding, mine.encoder.features, mine.crop)
        if kind != (theirs.encoder.name, theirs.encoder.padding, theirs.encoder.features, theirs.crop):
            return False
        return same_weights(self.encoder, other.encoder)


def same_weights(one: nn.Module, other: nn.Module) -> bool:
    """Whether two modules of one kind have the same weights; what batch norms have counted is none."""
    weights = other.state_dict()
    return all(
        torch.equal(mine.cpu(), weights[name].cpu())
        for name, mine in one.state_dict().items()
        if not name.endswith("num_batches_tracked")
    )


def finite(model: nn.Module) -> bool:
    """Whether all weights are numbers, neither infinite nor NaN."""
    return all(bool(torch.isfinite(tensor).all()) for tensor in model.state_dict().values())


def save_captioner(folder: Path, model: Captioner, vocabulary: Vocabulary) -> None:
    """Write a model folder; the weights come last, so that a folder with weights is whole.

    What a process that was killed meanwhile has left there is removed.
    """
    for left in folder.glob(".*.tmp"):
        left.unlink()
    write_json(folder / "config.json", model.config.model_dump(), indent=2)
    write_text(folder / "vocab.json", vocabulary.to_json())
    # safetensors takes no two names for one tensor, which tied words have.
    weights = {
        name: tensor.clone(memory_format=torch.contiguous_format)
        for name, tensor in model.state_dict().items()
    }
    write_bytes(folder / "model.safetensors", save(weights))


def load_captioner(folder: Path, device: torch.device) -> tuple[Captioner, Vocabulary]:
    """Read a model folder, ready for captioning.

    Raises:
        CapflowError: a file is missing or damaged, or the files do not belong together.
    """
    path = folder / "config.json"
    if not folder.exists():
        raise CapflowError(
            f"{folder}: there is no such folder; correct the path, or `dvc repro` to make data/model."
        )
    if not path.exists():
        raise CapflowError(
            f"{folder}: holds no model, as no config.json is there; `dvc repro` makes data/model."
        )
    model = Captioner(parse(read_json(path), CaptionerConfig, path))
    vocabulary = Vocabulary.read(folder / "vocab.json")
    weights = folder / "model.safetensors"
    try:
        model.load_state_dict(load_file(weights))
    except FileNotFoundError:
        raise CapflowError(f"{weights}: there is no such file; run `dvc repro` to train a model.") from None
    except (SafetensorError, RuntimeError) as error:
        reason = str(error).splitlines()[-1].strip()  # PyTorch's first line says only that there is one
        raise CapflowError(f"{weights}: not the weights of this model ({reason}); train it again.") from None
    if not finite(model):
        raise CapflowError(
            f"{weights}: holds infinities or NaN, so no caption can be made of it; train the model again."
        )
    if len(vocabulary) != model.config.words:
        raise CapflowError(f"{folder}: vocab.json and config.json differ in size; train the model again.")
    return model.to(device).eval(), vocabulary
