"""How the model learns: the section ``train`` of params.yaml and what is within it."""

from typing import Annotated, Literal

from pydantic import Field

from capflow.params.bounds import Count, Rate, Share
from capflow.sections import Section


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

    ``bleu`` is the weight of BLEU-4 in the reward, where CIDEr-D has 1; ``lookalikes`` is that of what
    training pictures that look alike let expect.
    """

    epochs: Annotated[int, Field(ge=0, lt=2**53)]
    lr: Rate
    samples: Annotated[int, Field(ge=2, le=64)]
    bleu: Annotated[float, Field(ge=0, le=100)]
    # A params.yaml that was written before it came is still read.
    lookalikes: Annotated[float, Field(ge=0, le=1000)] = 0.0


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
