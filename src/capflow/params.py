"""The parameters of the pipeline: one typed, bounded section for each stage of params.yaml.

The entry of the data set in use (``data/sources/<name>/dataset.yaml``) has its own models, in
:mod:`capflow.data.dataset`.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from capflow.sections import Section, load_yaml

Count = Annotated[int, Field(ge=1, lt=2**53)]
Width = Annotated[int, Field(ge=1, le=16384)]
Share = Annotated[float, Field(ge=0, lt=1)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Rate = Annotated[float, Field(gt=0, le=10)]
Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")


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
    weights: str
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


class ScheduleParams(Section):
    """How the learning rate moves: see :mod:`capflow.training.schedule`."""

    name: Literal["constant", "step", "cosine", "noam", "plateau"]
    warmup: Share
    every: Count
    factor: Annotated[float, Field(gt=0, lt=1)]
    patience: Annotated[int, Field(ge=0)]


class AugmentParams(Section):
    """Random changes to training pictures: a crop to ``crop`` pixels (0: none) and a mirror image.

    Where ``area`` is below 1, the crop has a random share of the picture, from ``area`` to all of it, and a
    random shape; it is resized to ``crop`` pixels, or to the whole picture's.
    """

    crop: Annotated[int, Field(ge=0)]
    area: Annotated[float, Field(ge=0.01, le=1)]
    flip: bool

    @property
    def varies(self) -> bool:
        """Whether a picture is not always seen as it is, as a whole."""
        return bool(self.crop) or self.area < 1 or self.flip


class EncoderLearningParams(Section):
    """How an encoder that is ``trainable`` learns: from an epoch on, from a layer on.

    ``rate`` is its learning rate as a share of the decoder's.
    """

    from_epoch: Count
    from_layer: Annotated[str, Field(min_length=1)]
    rate: Rate


class SelfCriticalParams(Section):
    """Epochs of :mod:`capflow.training.self_critical`, with ``samples`` captions of each picture.

    ``bleu`` is the weight of BLEU-4 in the reward, where CIDEr-D has 1.
    """

    epochs: Annotated[int, Field(ge=0, lt=2**53)]
    lr: Rate
    samples: Annotated[int, Field(ge=2, le=64)]
    bleu: Annotated[float, Field(ge=0, le=100)]


class TrainParams(Section):
    """How the model learns: ``epochs`` of cross-entropy, then those of ``self_critical``.

    ``start`` names a model folder below data/weights whose weights come first, or ``none``.
    """

    start: Annotated[str, Field(min_length=1)]
    epochs: Annotated[int, Field(ge=0, lt=2**53)]
    batch_size: Count
    batches: Literal["padded", "length"]
    accumulate: Count
    optimizer: Literal["adam", "adamw"]
    lr: Rate
    weight_decay: Annotated[float, Field(ge=0, le=1)]
    clip: Annotated[float, Field(ge=0)]
    ema: Share
    label_smoothing: Share
    scheduled_sampling: Annotated[float, Field(ge=0, le=1)]
    precision: Literal["auto", "fp32", "bf16"]
    patience: Annotated[int, Field(ge=0)]
    log_every: Count
    schedule: ScheduleParams
    augment: AugmentParams
    encoder: EncoderLearningParams
    self_critical: SelfCriticalParams


class GenerateParams(Section):
    """How captions are searched for (``method: beam``), or drawn at random (``sample``).

    ``models`` are folders below data/ensemble, or absolute paths, whose models speak along with
    data/model. The formulas stand in :mod:`capflow.models.rules`, ``generate`` and ``sampling``.
    """

    splits: Annotated[tuple[Split, ...], Field(min_length=1)]
    models: tuple[Annotated[str, Field(min_length=1)], ...]
    method: Literal["beam", "sample"]
    max_length: Annotated[int, Field(ge=1, le=200)]
    min_length: Annotated[int, Field(ge=0)]
    no_repeat: Annotated[int, Field(ge=0, le=200)]
    beam: Annotated[int, Field(ge=1, le=64)]
    length_penalty: Annotated[float, Field(ge=0, le=5)]
    groups: Annotated[int, Field(ge=1, le=64)]
    diversity: Annotated[float, Field(ge=0, le=100)]
    temperature: Annotated[float, Field(ge=0.01, le=100)]
    top_k: Annotated[int, Field(ge=0, lt=2**31)]
    top_p: Annotated[float, Field(gt=0, le=1)]
    seed: Seed
    batch_size: Count

    def greedy(self) -> "GenerateParams":
        """The likeliest word each time; only the greatest length is kept of the search."""
        plain = {"method": "beam", "beam": 1, "groups": 1, "min_length": 0, "no_repeat": 0}
        return self.model_copy(update=plain | {"temperature": 1.0, "top_k": 0, "top_p": 1.0})

    @model_validator(mode="after")
    def _beams_and_lengths_fit(self) -> "GenerateParams":
        if self.beam % self.groups:
            raise ValueError(f"generate.beam ({self.beam}) is no multiple of generate.groups ({self.groups})")
        if self.min_length > self.max_length:
            raise ValueError(
                f"generate.min_length ({self.min_length}) is larger than "
                f"generate.max_length ({self.max_length})"
            )
        return self


# How photographs are captioned where there is no params.yaml.
ELSEWHERE = GenerateParams(
    splits=("test",),
    models=(),
    method="beam",
    max_length=30,
    min_length=0,
    no_repeat=0,
    beam=3,
    length_penalty=0.7,
    groups=1,
    diversity=0.0,
    temperature=1.0,
    top_k=0,
    top_p=1.0,
    seed=1,
    batch_size=64,
)


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
