"""The grammar of the captions, and the judge of what is true."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from capflow.data.annotations import ImageRecord
from capflow.data.scenes.grammar import Statement, describe, read, say
from capflow.data.scenes.truth import holds, judge, truth_scores
from capflow.data.scenes.world import Scene, draw_scene
from capflow.errors import CapflowError
from tests.data.test_scenes import scenes

seeds = st.integers(0, 2**31 - 1)


def scene(*groups: tuple[int, str, str, str], relation: str | None = None) -> Scene:
    """A scene of groups of (count, size, colour, shape); where the objects lie does not matter here."""
    item = {"x": 0.5, "y": 0.5, "extent": 0.2}
    facts = [
        {"shape": shape, "colour": colour, "size": size, "items": [item] * count}
        for count, size, colour, shape in groups
    ]
    return Scene.model_validate({"groups": facts, "relation": relation, "seed": 0})


def captions(of: Scene, seed: int) -> list[str]:
    return describe(of, np.random.default_rng(seed), 5)


ONE = scene((1, "small", "yellow", "circle"))
TWO = scene((1, "small", "red", "circle"), (2, "large", "blue", "triangle"), relation="left of")


@given(scenes, seeds)
def test_every_generated_caption_is_true(drawn: Scene, seed: int) -> None:
    assert all(judge(caption, drawn) for caption in captions(drawn, seed))


@given(scenes, seeds, seeds)
def test_what_is_said_is_what_is_read(drawn: Scene, first: int, second: int) -> None:
    statement = read(captions(drawn, first)[0])
    assert statement is not None
    assert read(say(statement, np.random.default_rng(second))) == statement


@given(scenes, seeds, st.data())
def test_a_changed_fact_makes_its_statement_false(drawn: Scene, seed: int, data: st.DataObject) -> None:
    statement = read(captions(drawn, seed)[0])
    assert statement is not None
    facts: dict[str, list[Any]] = {
        "count": [1, 2, 3],
        "size": ["small", "large"],
        "colour": ["red", "yellow", "green", "blue", "purple"],
        "shape": ["circle", "square", "triangle"],
    }
    key = data.draw(st.sampled_from(sorted(facts)))
    mention = vars(statement.first)
    value = data.draw(st.sampled_from([value for value in facts[key] if value != mention[key]]))
    assume(mention[key] is not None)
    changed = Statement(type(statement.first)(**mention | {key: value}), statement.second, statement.relation)
    assume(not _about_the_other_group(changed, drawn))
    assert not judge(say(changed, np.random.default_rng(seed)), drawn)


def _about_the_other_group(statement: Statement, drawn: Scene) -> bool:
    """Whether a changed noun phrase happens to fit the other group, as of "a red circle and a square"."""
    return statement.second is None and holds(statement, drawn)


@given(scenes, seeds, st.data())
def test_another_relation_is_false(drawn: Scene, seed: int, data: st.DataObject) -> None:
    statement = read(captions(drawn, seed)[0])
    assert statement is not None
    assume(statement.relation is not None)
    relations = {"left of", "right of", "above", "below"} - {statement.relation}
    relation: Any = data.draw(st.sampled_from(sorted(filter(None, relations))))
    changed = Statement(statement.first, statement.second, relation)
    assert not judge(say(changed, np.random.default_rng(seed)), drawn)


@given(scenes, seeds, st.data())
def test_a_missing_or_doubled_word_is_never_true_by_accident(
    drawn: Scene, seed: int, data: st.DataObject
) -> None:
    """Doubling a word leaves the grammar; dropping one leaves it, or says less, or says something else."""
    words = captions(drawn, seed)[0].lower().removesuffix(".").split()
    place = data.draw(st.integers(0, len(words) - 1))
    assert read(" ".join([*words[: place + 1], *words[place:]])) is None
    shorter = read(" ".join(words[:place] + words[place + 1 :]))
    whole = read(" ".join(words))
    assert shorter is None or words[place] in {"small", "little", "large", "big"} or shorter == whole


@given(st.text())
def test_any_text_is_judged(text: str) -> None:
    assert judge(text, TWO) in {True, False}


@pytest.mark.parametrize(
    "caption",
    [
        "a small red circle to the left of two large blue triangles",
        "A red circle is left of two big blue triangles.",
        "a red circle is left of two big blue triangles .",
        "two blue triangles to the right of a red circle",
        "there are two blue triangles and one little red circle",
        "there is a red circle",
        "  To the right of a red circle   sit two blue triangles ",
        "a picture of two blue triangles",
    ],
)
def test_true(caption: str) -> None:
    assert judge(caption, TWO)


@pytest.mark.parametrize(
    "caption",
    [
        "a small red circle to the right of two large blue triangles",
        "a small red circle above two large blue triangles",
        "a large red circle to the left of two large blue triangles",
        "a small green circle to the left of two large blue triangles",
        "a small red circle to the left of two large blue squares",
        "a small red circle to the left of a large blue triangle",
        "three blue triangles",
        "one blue triangle",
        "a red circle and a red circle",
        "a red circle to the left of a red circle",
        "a green circle",
    ],
)
def test_false(caption: str) -> None:
    assert read(caption) is not None
    assert not judge(caption, TWO)


@pytest.mark.parametrize(
    "caption",
    [
        "",
        ".",
        "a",
        "a red",
        "red circle",
        "a red circles",
        "two blue triangle",
        "two blue triangleses",
        "an red circle",
        "there are a red circle",
        "there is two blue triangles",
        "a red circle are left of two blue triangles",
        "two blue triangles sits to the right of a red circle",
        "a red small circle",
        "a red circle to the left of",
        "a red circle to the left two blue triangles",
        "a red circle two blue triangles",
        "a red circle and two blue triangles and a red circle",
        "a red circle . .",
        "a red circle, two blue triangles",
        "to the left of two blue triangles there are a red circle",
        "a red circle {relation} two blue triangles",
        "there is a <unk> circle",
        "a man riding a wave on top of a surfboard",
    ],
)
def test_not_of_the_grammar(caption: str) -> None:
    assert read(caption) is None
    assert not judge(caption, TWO)


def test_articles() -> None:
    assert judge("a yellow circle", ONE)
    assert judge("a small yellow circle", ONE)
    assert not judge("an yellow circle", ONE)
    assert not judge("an small yellow circle", ONE)


def test_most_captions_tell_of_both_groups() -> None:
    told = [
        read(caption)
        for index in range(400)
        if (drawn := draw_scene(7, "train", index)).relation
        for caption in captions(drawn, index)
    ]
    related = sum(statement is not None and statement.relation is not None for statement in told) / len(told)
    alone = sum(statement is not None and statement.second is None for statement in told) / len(told)
    assert related > 0.6
    assert 0.05 < alone < 0.15


def record(number: int, of: Scene) -> ImageRecord:
    facts = json.loads(of.model_dump_json())
    return {"id": number, "file_name": f"{number}.jpg", "scene": facts}


def test_truth_scores() -> None:
    unseen = scene((1, "small", "red", "triangle"))
    images = [record(1, ONE), record(2, TWO), record(3, unseen), record(4, unseen)]
    said = {1: "a yellow circle", 2: "two red circles", 3: "a red triangle", 4: "a red circle"}
    assert truth_scores(said, images) == {"truth": 0.5, "truth_unseen": 0.5}
    assert truth_scores(said, images[:2]) == {"truth": 0.5}
    assert truth_scores({}, images[:1]) == {"truth": 0.0}


def test_truth_scores_want_scenes() -> None:
    with pytest.raises(CapflowError, match=r"7\.jpg: its record has no `scene`"):
        truth_scores({7: "a red circle"}, [{"id": 7, "file_name": "7.jpg"}])
