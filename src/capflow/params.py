"""The parameters of the pipeline: one typed, bounded section for each stage of params.yaml.

The entry of the data set in use (``data/sources/<name>/dataset.yaml``) has its own models, in
:mod:`capflow.data.dataset`.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from capflow.errors import CapflowError

Count = Annotated[int, Field(ge=1, lt=2**53)]
Width = Annotated[int, Field(ge=1, le=16384)]
Share = Annotated[float, Field(ge=0, lt=1)]
Rate = Annotated[float, Field(gt=0, le=10)]
Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")


class Section(BaseModel):
    """What all sections share: unknown keys are errors, values do not change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _truth_values_are_no_numbers(cls, value: Any, info: ValidationInfo) -> Any:
        """In Python ``True == 1``; here ``epochs: true`` and ``punctuation: 1`` are slips."""
        wanted = cls.model_fields[str(info.field_name)].annotation is bool
        if wanted and not isinstance(value, bool):
            raise PydanticCustomError("bool", "input should be true or false")
        if isinstance(value, bool) and not wanted:
            raise PydanticCustomError("no_bool", "input should not be true or false")
        return value


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
    ``features`` are one ``pooled`` vector or a ``grid`` of cells.
    """

    name: str
    weights: str
    trainable: bool
    features: Literal["pooled", "grid"]
    mirrored: bool


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
    """Random changes to training pictures: a crop to ``crop`` pixels (0: none) and a mirror image."""

    crop: Annotated[int, Field(ge=0)]
    flip: bool


class EncoderLearningParams(Section):
    """How an encoder that is ``trainable`` learns: from an epoch on, from a layer on.

    ``rate`` is its learning rate as a share of the decoder's.
    """

    from_epoch: Count
    from_layer: Annotated[str, Field(min_length=1)]
    rate: Rate


class SelfCriticalParams(Section):
    """Epochs of :mod:`capflow.training.self_critical`, with ``samples`` captions of each picture."""

    epochs: Annotated[int, Field(ge=0, lt=2**53)]
    lr: Rate
    samples: Annotated[int, Field(ge=2, le=64)]


class TrainParams(Section):
    """How the model learns."""

    epochs: Count
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
    """How captions are searched for."""

    splits: Annotated[tuple[Split, ...], Field(min_length=1)]
    beam: Annotated[int, Field(ge=1, le=64)]
    max_length: Annotated[int, Field(ge=1, le=200)]
    length_penalty: Annotated[float, Field(ge=0, le=5)]
    batch_size: Count


class EvaluateParams(Section):
    """What is scored beyond the seven scores."""

    spice: bool


class Params(Section):
    """All of params.yaml."""

    seed: Annotated[int, Field(ge=0, lt=2**31)]
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
        augment = self.train.augment
        return not (self.encoder.trainable or augment.crop or augment.flip)

    @model_validator(mode="after")
    def _some_split_is_scored(self) -> "Params":
        if set(self.generate.splits) <= {"train"}:
            raise ValueError("generate.splits names neither val nor test, so that nothing can be scored")
        return self

    @model_validator(mode="after")
    def _crop_fits(self) -> "Params":
        if self.train.augment.crop > self.tensors.size:
            raise ValueError(
                f"train.augment.crop ({self.train.augment.crop}) is larger than "
                f"tensors.size ({self.tensors.size})"
            )
        return self


SectionT = TypeVar("SectionT", bound=BaseModel)


def load_yaml(path: Path, model: type[SectionT]) -> SectionT:
    """Read a YAML file into a model.

    Raises:
        CapflowError: the file is missing, is not YAML, or a key is unknown, missing or out of bounds.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CapflowError(f"{path}: there is no such file.") from None
    except OSError as error:
        raise CapflowError(f"{path}: cannot be opened ({error.strerror}); it should be a file.") from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: no UTF-8, or a date that is none
        raise CapflowError(f"{path}: not valid YAML: {' '.join(str(error).split())}.") from None
    return parse(content, model, path)


def parse(content: Any, model: type[SectionT], path: Path) -> SectionT:
    """Check ``content`` (read from ``path``) against a model.

    Raises:
        CapflowError: names the file, the first offending key, its value and what is allowed.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        if not key and first["type"] != "value_error":
            raise CapflowError(f"{path}: holds no keys at all; it should be a mapping of them.") from None
        raise CapflowError(f"{path}: {_explain(key, first)}; please correct it.") from None


def _explain(key: str, error: Any) -> str:
    match error["type"]:
        case "extra_forbidden":
            return f"there is no parameter `{key}`"
        case "missing":
            return f"the parameter `{key}` is missing"
        case "value_error":
            return str(error["ctx"]["error"])
        case _:
            message = error["msg"][0].lower() + error["msg"][1:]
            return f"`{key}` is {error['input']!r}: {message}"


def load_params(path: Path = Path("params.yaml")) -> Params:
    """Read params.yaml.

    Raises:
        CapflowError: as :func:`load_yaml`.
    """
    return load_yaml(path, Params)
