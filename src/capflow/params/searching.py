"""How captions are searched for, or drawn: ``generate`` in params.yaml, and the search.json of a model."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from capflow.params.bounds import Count, Seed
from capflow.sections import Section

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")


class GenerateParams(Section):
    """How captions are searched for (``method: beam``), drawn (``sample``), or chosen (``consensus``).

    ``models`` are folders below data/ensemble, or absolute paths, whose models speak along with
    data/model. A beam is for the highest log p + ``hints`` * what is expected of words. A consensus is
    the caption with the highest agreement + ``likelihood`` * log p + ``lookalikes`` * fit. The formulas
    stand in :mod:`capflow.models.rules`, ``generate`` and ``sampling``, and in
    :mod:`capflow.evaluation.agreement` and ``expectation``.
    """

    splits: Annotated[tuple[Split, ...], Field(min_length=1)]
    models: tuple[Annotated[str, Field(min_length=1)], ...]
    method: Literal["beam", "sample", "consensus"]
    max_length: Annotated[int, Field(ge=1, le=200)]
    min_length: Annotated[int, Field(ge=0)]
    no_repeat: Annotated[int, Field(ge=0, le=200)]
    beam: Annotated[int, Field(ge=1, le=64)]
    length_penalty: Annotated[float, Field(ge=0, le=5)]
    groups: Annotated[int, Field(ge=1, le=64)]
    diversity: Annotated[float, Field(ge=0, le=100)]
    hints: Annotated[float, Field(ge=0, le=100)] = 0.0
    temperature: Annotated[float, Field(ge=0.01, le=100)]
    top_k: Annotated[int, Field(ge=0, lt=2**31)]
    top_p: Annotated[float, Field(gt=0, le=1)]
    drawn: Annotated[int, Field(ge=0, le=1000)] = 20
    likelihood: Annotated[float, Field(ge=0, le=100)] = 0.1
    lookalikes: Annotated[float, Field(ge=0, le=1000)] = 0.0
    seed: Seed
    batch_size: Count

    def greedy(self, batch_size: int) -> "GenerateParams":
        """The likeliest word each time, of so many pictures at once; only the greatest length is kept."""
        plain = {"method": "beam", "beam": 1, "groups": 1, "min_length": 0, "no_repeat": 0, "hints": 0.0}
        drawn = {"temperature": 1.0, "top_k": 0, "top_p": 1.0}
        return self.model_copy(update=plain | drawn | {"batch_size": batch_size})

    @field_validator("splits")
    @classmethod
    def _each_split_once(cls, splits: tuple[Split, ...]) -> tuple[Split, ...]:
        if len(set(splits)) < len(splits):
            raise PydanticCustomError("twice", "a split should be named once")
        return splits

    @field_validator("drawn")
    @classmethod
    def _nobody_votes_for_itself(cls, drawn: int) -> int:
        if drawn == 1:
            raise PydanticCustomError("alone", "one has nobody to vote for it: it should be 0, or 2 or more")
        return drawn

    @model_validator(mode="after")
    def _somebody_chooses(self) -> "GenerateParams":
        if self.method == "consensus" and not (self.drawn or self.lookalikes):
            raise ValueError(
                "generate.method: consensus needs generate.drawn or generate.lookalikes, by which it chooses"
            )
        if self.method == "consensus" and not self.drawn and self.beam == 1:
            raise ValueError("generate.drawn is 0 and generate.beam 1, which leaves nothing to choose from")
        return self

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
