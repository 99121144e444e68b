"""The closed grammar of the captions, written once, and used to speak and to read.

A caption makes one statement: that a group is there, that two are, or how one lies to the other. It
is one of ``FORMS`` with its slots filled. The noun phrases are few enough to be listed, so that
reading one is looking it up; agreement of article, noun and verb then needs no second set of rules.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Literal

import numpy as np

from capflow.data.scenes.world import INVERSE, PAIRS, Colour, Group, Relation, Scene, Shape, Size, pick

Kind = Literal["alone", "together", "related"]

# What stands more than once in a table is said more often.
FORMS: dict[Kind, tuple[str, ...]] = {
    "alone": (
        "{first}",
        "there {is} {first}",
        "there {is} {first} in the picture",
        "the picture shows {first}",
        "the image contains {first}",
        "a picture of {first}",
        "we see {first}",
        "{first} {is} shown",
        "{first} can be seen",
        "{first} {appears} in the image",
    ),
    "together": (
        "{first} and {second}",
        "there {is} {first} and {second}",
        "the picture shows {first} and {second}",
        "the image contains {first} together with {second}",
        "a picture of {first} and {second}",
        "we see {first} and {second}",
        "{first} {is} shown with {second}",
        "{first} {appears} together with {second}",
        "{first} and {second} can be seen",
    ),
    "related": (
        "{first} {relation} {second}",
        "{first} {relation} {second}",
        "{first} {relation} {second}",
        "{first} {is} {relation} {second}",
        "{first} {is} {relation} {second}",
        "there {is} {first} {relation} {second}",
        "the picture shows {first} {relation} {second}",
        "a picture of {first} {relation} {second}",
        "we see {first} {relation} {second}",
        "{first} {sits} {relation} {second}",
        "{first} {lies} {relation} {second}",
        "{first} {is} placed {relation} {second}",
        "{first} can be seen {relation} {second}",
        "{relation} {second} there {is} {first}",
        "{relation} {second} {sits} {first}",
    ),
}
# The verb of each slot, beside one object and beside more.
_VERBS = {
    "is": ("is", "are"),
    "appears": ("appears", "appear"),
    "sits": ("sits", "sit"),
    "lies": ("lies", "lie"),
}
_COUNTS: dict[int, tuple[str, ...]] = {1: ("a", "a", "a", "a", "one"), 2: ("two",), 3: ("three",)}
_SIZES: dict[Size | None, tuple[str, ...]] = {
    None: ("",),
    "small": ("small", "small", "little"),
    "large": ("large", "large", "big"),
}
_RELATIONS: dict[Relation, tuple[str, ...]] = {
    "left of": ("to the left of", "to the left of", "left of"),
    "right of": ("to the right of", "to the right of", "right of"),
    "above": ("above", "above", "over"),
    "below": ("below", "below", "under", "beneath"),
}
_KINDS: tuple[Kind, ...] = ("related",) * 7 + ("together",) * 2 + ("alone",)
_SIZE_IS_SAID = (True, True, False)


@dataclass(frozen=True)
class Mention:
    """What a noun phrase says of a group; the size may be left unsaid."""

    count: int
    size: Size | None
    colour: Colour
    shape: Shape


@dataclass(frozen=True)
class Statement:
    """What a caption says: a group is there; so is another; the first lies ``relation`` the second."""

    first: Mention
    second: Mention | None = None
    relation: Relation | None = None

    @property
    def kind(self) -> Kind:
        """Which of the forms can say it."""
        if self.second is None:
            return "alone"
        return "together" if self.relation is None else "related"


def describe(scene: Scene, rng: np.random.Generator, number: int) -> list[str]:
    """Different true captions of a scene, in lower or sentence case, some with a full stop."""
    texts: dict[str, None] = {}
    while len(texts) < number:
        texts[say(_choose(scene, rng), rng)] = None
    return [pick(rng, _STYLES)(text) for text in texts]


def say(statement: Statement, rng: np.random.Generator) -> str:
    """One of the ways to make a statement, in lower case without a full stop."""
    slots = {verb: forms[statement.first.count > 1] for verb, forms in _VERBS.items()}
    slots["first"] = pick(rng, _phrases(statement.first))
    if statement.second is not None:
        slots["second"] = pick(rng, _phrases(statement.second))
    if statement.relation is not None:
        slots["relation"] = pick(rng, _RELATIONS[statement.relation])
    return pick(rng, FORMS[statement.kind]).format_map(slots)


def read(caption: str) -> Statement | None:
    """What a caption says; None when the grammar does not have it.

    Case, spacing and one full stop at the end do not matter; agreement and articles do.
    """
    text = " ".join(caption.lower().split()).removesuffix(".").rstrip()
    for pattern in _patterns():
        match = pattern.fullmatch(text)
        statement = match and _understand(match.groupdict())
        if statement:
            return statement
    return None


def _capitalised(text: str) -> str:
    return text[0].upper() + text[1:]


def _sentence(text: str) -> str:
    return _capitalised(text) + "."


_STYLES: tuple[Callable[[str], str], ...] = (str, str, _capitalised, _sentence)


def _choose(scene: Scene, rng: np.random.Generator) -> Statement:
    """Something true of a scene, mostly all of it."""
    if scene.relation is None:
        return Statement(_mention(scene.groups[0], rng))
    turned = pick(rng, (False, True))
    first, second = (_mention(group, rng) for group in (scene.groups[::-1] if turned else scene.groups))
    match pick(rng, _KINDS):
        case "alone":
            return Statement(first)
        case "together":
            return Statement(first, second)
        case "related":
            return Statement(first, second, INVERSE[scene.relation] if turned else scene.relation)


def _mention(group: Group, rng: np.random.Generator) -> Mention:
    size = group.size if pick(rng, _SIZE_IS_SAID) else None
    return Mention(group.count, size, group.colour, group.shape)


@cache
def _phrases(mention: Mention) -> tuple[str, ...]:
    """All ways to say a noun phrase."""
    noun = mention.shape if mention.count == 1 else f"{mention.shape}s"
    ways = product(_COUNTS[mention.count], _SIZES[mention.size])
    return tuple(" ".join(filter(None, (count, size, mention.colour, noun))) for count, size in ways)


@cache
def _mentions() -> dict[str, Mention]:
    """What each noun phrase of the grammar says."""
    facts = product(_COUNTS, _SIZES, PAIRS)
    mentions = (Mention(count, size, colour, shape) for count, size, (colour, shape) in facts)
    return {phrase: mention for mention in mentions for phrase in _phrases(mention)}


@cache
def _relations() -> dict[str, Relation]:
    return {way: relation for relation, ways in _RELATIONS.items() for way in ways}


@cache
def _patterns() -> tuple[re.Pattern[str], ...]:
    """A regular expression for each form, with a group for each slot; noun phrases are yet to be read."""
    slots = {verb: "|".join(forms) for verb, forms in _VERBS.items()}
    slots |= {"first": ".+?", "second": ".+?", "relation": "|".join(_relations())}
    groups = {slot: f"(?P<{slot}>{pattern})" for slot, pattern in slots.items()}
    return tuple(
        re.compile(form.format_map(groups)) for forms in FORMS.values() for form in dict.fromkeys(forms)
    )


def _understand(slots: dict[str, str]) -> Statement | None:
    """What the words in the slots of a form say; None when a phrase is unknown or a verb does not agree."""
    first, second = (_mentions().get(slots.get(slot, "")) for slot in ("first", "second"))
    if first is None or ("second" in slots and second is None):
        return None
    if any(
        slots.get(verb, forms[first.count > 1]) != forms[first.count > 1] for verb, forms in _VERBS.items()
    ):
        return None
    return Statement(first, second, _relations().get(slots.get("relation", "")))
