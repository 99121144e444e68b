"""The parameters of the pipeline: one typed, bounded section for each stage of params.yaml.

The entry of the data set in use (``data/sources/<name>/dataset.yaml``) has its own models, in
:mod:`capflow.data.dataset`.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from capflow.params.bounds import Count, Seed, Share, Width
from capflow.params.learning import (
    AugmentParams,
    EncoderLearningParams,
    ScheduleParams,
    SelfCriticalParams,
    TrainParams,
)
from capflow.params.searching import ELSEWHERE, SPLITS, GenerateParams, Split
from capflow.sections import Section, load_yaml

__all__ = [
    "ELSEWHERE",
    "SPLITS",
    "AugmentParams",
    "Count",
    "DataParams",
    "DecoderParams",
    "EncoderLearningParams",
    "EncoderParams",
    "EvaluateParams",
    "GenerateParams",
    "Params",
    "ScheduleParams",
    "SelfCriticalParams",
    "Share",
    "Split",
    "TensorParams",
    "TrainParams",
    "VocabParams",
    "load_params",
]


class DataParams(Section):
    """Which data set is used, where it is, and how much of it may be missing.

    ``name`` is a folder of ``data/sources``. ``root`` is the folder of photographs and captions that
    you have, absolute or below the repository. ``max_missing`` is the share of a split's pictures
    that need not be had, and of all pictures that may turn out to be damaged.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    root: Annotated[str, Field(min_length=1)]
    max_missing: Annotated[float, Field(ge=0, le=1)]


class VocabParams(Section):
    """Which words the model knows: those seen at least ``threshold`` times in the training split."""

    threshold: Count
    punctuation: bool


class TensorParams(Section):
    """How a picture becomes ``size`` x ``size`` pixels: centre crop, or squashed."""

    size: Annotated[int, Field(ge=16, le=1024)]
    fit: Literal["crop", "squash"]


class EncoderParams(Section):
    """The network that reads the picture.

    ``weights`` is ``imagenet``, ``none``, or a file in ``data/weights/`` (or an absolute path).
    ``padding`` is that of the framework in which torchvision's weights, or those of a file, were trained.
    ``features`` are one ``pooled`` vector or a ``grid`` of cells.
    """

    name: str
    weights: Annotated[str, Field(min_length=1)]
    padding: Literal["torch", "tensorflow"]
    trainable: bool
    features: Literal["pooled", "grid"]
    mirrored: bool
    crops: Annotated[int, Field(ge=0, le=100)]


class DecoderParams(Section):
    """The network that writes the caption.

    Which decoder reads which key says params.yaml; all keys are always there, so that
    ``-S decoder.name=...`` is enough to try another.
    """

    name: Literal["lstm", "attention", "updown", "transformer"]
    embedding: Width
    hidden: Width
    layers: Annotated[int, Field(ge=1, le=8)]
    heads: Annotated[int, Field(ge=1, le=64)]
    project: Annotated[int, Field(ge=0, le=16384)]
    attention: Width
    doubly_stochastic: Annotated[float, Field(ge=0, le=100)]
    dropout: Share
    tied: bool
    inject: Literal["first", "every"]
    batch_norm: bool

    @model_validator(mode="after")
    def _sizes_fit(self) -> "DecoderParams":
        if self.name == "transformer":
            if self.embedding % self.heads:
                raise ValueError(
                    f"decoder.embedding ({self.embedding}) is no multiple of decoder.heads ({self.heads})"
                )
        elif self.tied and self.embedding != self.hidden:
            raise ValueError(
                f"decoder.tied needs decoder.embedding ({self.embedding}) and decoder.hidden "
                f"({self.hidden}) to be the same"
            )
        return self


class EvaluateParams(Section):
    """What is scored beyond the seven scores."""

    spice: bool


class Params(Section):
    """All of params.yaml."""

    seed: Seed
    data: DataParams
    vocab: VocabParams
    tensors: TensorParams
    encoder: EncoderParams
    decoder: DecoderParams
    train: TrainParams
    generate: GenerateParams
    evaluate: EvaluateParams

    @property
    def stored_features(self) -> bool:
        """Whether pictures are encoded once, before training: the encoder and what it sees are fixed."""
        return not (self.encoder.trainable or self.train.augment.varies)

    @model_validator(mode="after")
    def _some_split_is_scored(self) -> "Params":
        if set(self.generate.splits) <= {"train"}:
            raise ValueError("generate.splits names neither val nor test, so that nothing can be scored")
        return self

    @model_validator(mode="after")
    def _something_is_learnt(self) -> "Params":
        if not self.train.epochs + self.train.self_critical.epochs:
            raise ValueError("train.epochs and train.self_critical.epochs are both 0: nothing is learnt")
        if not self.train.epochs and self.train.start == "none":
            raise ValueError("train.epochs is 0, which only a model that train.start names can do with")
        return self

    @model_validator(mode="after")
    def _crop_fits(self) -> "Params":
        if self.train.augment.crop > self.tensors.size:
            raise ValueError(
                f"train.augment.crop ({self.train.augment.crop}) is larger than "
                f"tensors.size ({self.tensors.size})"
            )
        return self


def load_params(path: Path = Path("params.yaml")) -> Params:
    """Read params.yaml.

    Raises:
        CapflowError: as :func:`capflow.sections.load_yaml`.
    """
    return load_yaml(path, Params)
