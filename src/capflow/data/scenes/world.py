"""What is in a generated picture: one or two groups of like objects, and how the groups lie.

Lengths are shares of the picture's side, x to the right and y down, so a scene does not depend on the
number of pixels. A scene is a function of (seed, split, index) alone: a larger data set begins with
the pictures of a smaller one.

Two groups never agree in both colour and shape, so a coloured shape names one of them. They lie
apart along one axis only: of left, right, above and below exactly one is true.
"""

from itertools import product
from pathlib import Path
from typing import Annotated, Literal, TypeVar, get_args

import numpy as np
from pydantic import Field, model_validator

from capflow.data.annotations import ImageRecord
from capflow.data.scenes.layout import Item, lay_out
from capflow.errors import CapflowError
from capflow.params import SPLITS, Split
from capflow.sections import Section, parse

Shape = Literal["circle", "square", "triangle"]
Colour = Literal["red", "yellow", "green", "blue", "purple"]
Size = Literal["small", "large"]
Relation = Literal["left of", "right of", "above", "below"]
Pair = tuple[Colour, Shape]

INVERSE: dict[Relation, Relation] = {
    "left of": "right of",
    "right of": "left of",
    "above": "below",
    "below": "above",
}
# These occur in test alone: whether a model composes colours and shapes, or remembers pairs.
UNSEEN: frozenset[Pair] = frozenset({("red", "triangle"), ("blue", "square")})
UNSEEN_EVERY = 20
PAIRS: tuple[Pair, ...] = tuple(product(get_args(Colour), get_args(Shape)))
_SEEN = tuple(pair for pair in PAIRS if pair not in UNSEEN)
_HELD_OUT = tuple(pair for pair in PAIRS if pair in UNSEEN)
# Smallest and largest extent: 15 to 17 and 26 to 28 of 64 pixels.
_EXTENTS: dict[Size, tuple[float, float]] = {"small": (0.24, 0.26), "large": (0.40, 0.43)}
# More than three objects, of the larger kind, would find no room. What stands twice is twice as common.
_COUNTS = ((1,), (1,), (2,), (2,), (3,), (1, 1), (1, 1), (1, 2), (2, 1))

T = TypeVar("T")


class Group(Section):
    """One to three objects of one shape, colour and size."""

    shape: Shape
    colour: Colour
    size: Size
    items: Annotated[tuple[Item, ...], Field(min_length=1, max_length=3)]

    @property
    def count(self) -> int:
        """The number of objects."""
        return len(self.items)

    @property
    def pair(self) -> Pair:
        """What tells this group from the other one."""
        return self.colour, self.shape


class Scene(Section):
    """All facts of a picture; ``seed`` decides what no caption speaks of: background, shades, noise.

    ``relation`` says where the first group lies, seen from the second.
    """

    groups: Annotated[tuple[Group, ...], Field(min_length=1, max_length=2)]
    relation: Relation | None
    seed: Annotated[int, Field(ge=0)]

    @property
    def unseen(self) -> bool:
        """Whether it holds a coloured shape that no training picture holds."""
        return any(group.pair in UNSEEN for group in self.groups)

    @model_validator(mode="after")
    def _decidable(self) -> "Scene":
        pairs = {group.pair for group in self.groups}
        if len(pairs) < len(self.groups) or (self.relation is None) != (len(pairs) == 1):
            raise ValueError("the scene is neither one group nor two different groups and their relation")
        return self


def scene_of(image: ImageRecord) -> Scene:
    """The facts of a generated picture, from its record in the annotations.

    Raises:
        CapflowError: the record holds none, or they are wrong.
    """
    if "scene" not in image:
        raise CapflowError(f"{image['file_name']}: its record has no `scene`; make the annotations again.")
    return parse(image["scene"], Scene, Path(image["file_name"]))


def draw_scene(seed: int, split: Split, index: int) -> Scene:
    """Scene number ``index`` (from 0) of a split; every twentieth of test holds an unseen pair."""
    rng = np.random.default_rng((seed, SPLITS.index(split), index))
    counts = pick(rng, _COUNTS)
    pairs = _pairs(rng, len(counts), unseen=split == "test" and index % UNSEEN_EVERY == 0)
    sizes = [pick(rng, tuple(_EXTENTS)) for _ in counts]
    relation = pick(rng, tuple(INVERSE)) if len(counts) == 2 else None
    extents = [rng.uniform(*_EXTENTS[size], count) for size, count in zip(sizes, counts, strict=True)]
    groups = tuple(
        Group(shape=shape, colour=colour, size=size, items=items)
        for (colour, shape), size, items in zip(pairs, sizes, lay_out(rng, extents, relation), strict=True)
    )
    return Scene(groups=groups, relation=relation, seed=int(rng.integers(2**31)))


def pick(rng: np.random.Generator, choices: tuple[T, ...]) -> T:
    """One of the choices, all alike."""
    return choices[rng.integers(len(choices))]


def _pairs(rng: np.random.Generator, number: int, *, unseen: bool) -> list[Pair]:
    """Different pairs, seen ones but for one; which of the groups has the unseen one is by chance."""
    pairs = [_SEEN[index] for index in rng.choice(len(_SEEN), number, replace=False)]
    if unseen:
        pairs[rng.integers(number)] = pick(rng, _HELD_OUT)
    return pairs
