"""``capflow report --against``: the run in a checkout beside one that git has."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import fmean

import pytest
from typer.testing import CliRunner, Result

from capflow.cli import app
from capflow.data import archives
from capflow.errors import CapflowError
from capflow.files import write_json, write_text
from tests.checkout import change, run
from tests.evaluation.test_report import Page, data
from tests.photographs import jpeg

STEPS = "step,train_loss,lr\n10,3.5,0.1\n20,2.5,\n"
EPOCHS = "epoch,step,train_loss,val_loss,val_CIDEr\n1,20,3.0,2.75,0.5\n"
PER_IMAGE = Path("metrics/per_image.csv")


def score(captions: Mapping[int, str]) -> None:
    """Write what ``evaluate`` would: longer captions have higher scores here."""
    scored = {image: len(caption) / 100 for image, caption in captions.items()}
    rows = (f'{image},{image}.jpg,"{text}",{scored[image]}' for image, text in captions.items())
    write_text(PER_IMAGE, "\n".join(["image_id,file_name,caption,CIDEr", *rows, ""]))
    write_json(Path("metrics/scores.json"), {"CIDEr": fmean(scored.values())})


@pytest.fixture
def runs(workspace: Path) -> Path:
    """A checkout with two runs: ``first``, which is committed, and another one in the workspace."""
    (workspace / "dvc.yaml").touch()
    write_text(Path("metrics/train_steps.csv"), STEPS)
    write_text(Path("metrics/train_epochs.csv"), EPOCHS)
    captions = {number: f"a dog in room {number}" for number in range(1, 6)} | {3: 'null, "" \n nan'}
    score(captions)
    run(workspace, "git", "init", "--quiet")
    run(workspace, "git", "add", "metrics", "params.yaml")
    run(workspace, "git", "commit", "--quiet", "--message", "first")
    run(workspace, "git", "tag", "first")
    change(workspace, {"params.yaml": {"seed": 5}})
    score(captions | {2: "a dog"})
    return workspace


def compare(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["report", *arguments])


def refused(*arguments: str) -> str:
    result = compare(*arguments)
    assert isinstance(result.exception, CapflowError), result
    sentence = str(result.exception)
    assert "\n" not in sentence
    return sentence


def compared(*arguments: str) -> str:
    result = compare(*arguments)
    assert (result.exit_code, result.stdout) == (0, "report.html\n"), result
    return Path("report.html").read_text(encoding="utf-8")


@pytest.mark.usefixtures("runs")
def test_two_runs_stand_side_by_side() -> None:
    content = compared("--against", "first")
    page = Page(content)
    told, _ = data(content)
    assert told["then"] == "first"
    assert [picture["said"] for picture in told["pictures"]][:2] == ["a dog in room 1", "a dog"]
    assert [picture["before"] for picture in told["pictures"]][:2] == ["a dog in room 1", "a dog in room 2"]
    assert told["pictures"][2]["said"] == 'null, " \n nan'
    assert told["names"] == ["CIDEr"]
    assert [picture["has"] for picture in told["pictures"]][:2] == [[0.15], [0.05]]
    assert [picture["had"] for picture in told["pictures"]][:2] == [[0.15], [0.15]]
    said_alike = [picture for picture in told["pictures"] if picture["said"] == picture["before"]]
    assert len(said_alike) == 4
    assert all(picture["alone"] == picture["stray"] for picture in said_alike)
    assert any(picture["stray"] for picture in said_alike)
    assert "this run and first" in page.text
    assert "5 pictures of test that both runs have scored" in page.text
    for row in ("seed51", "CIDEr0.1280.148-0.020"):
        assert row in page.text
    assert "train.lr" not in page.text
    assert {option["value"] for option in page.all("option")} >= {"CIDEr", "change:CIDEr", "shared", "file"}
    assert [drawing["aria-label"] for drawing in page.all("svg")] == [
        "Training loss by step: this run from 3.5 to 2.5; first from 3.5 to 2.5",
        "Validation loss by step: this run from 2.75 to 2.75; first from 2.75 to 2.75",
        "CIDEr of val by epoch: this run from 0.5 to 0.5; first from 0.5 to 0.5",
        "Learning rate by step: this run from 0.1 to 0.1; first from 0.1 to 0.1",
    ]
    assert compared("--against", "HEAD").replace("HEAD", "first") == content


def test_an_experiment_is_known_by_its_name(runs: Path) -> None:
    head = run(runs, "git", "rev-parse", "HEAD").strip()
    ref = f"refs/exps/{head[:2]}/{head[2:]}"
    run(runs, "git", "update-ref", f"{ref}/tidy-name", head)
    run(runs, "git", "update-ref", "refs/exps/exec/EXEC_HEAD", head)
    assert data(compared("--against", "tidy-name"))[0]["then"] == "tidy-name"
    assert refused("--against", "EXEC_HEAD").startswith("EXEC_HEAD: neither git nor DVC has such a revision")
    other = run(runs, "git", "commit-tree", "-m", "other", "HEAD^{tree}").strip()
    run(runs, "git", "update-ref", f"refs/exps/{other[:2]}/{other[2:]}/tidy-name", other)
    assert refused("--against", "tidy-name").startswith("tidy-name: several experiments have this name;")


def test_what_is_scored_by_one_run_alone_is_left_out_and_counted(runs: Path) -> None:
    score({1: "a dog", 2: "a cat", 4: "a mouse"})
    page = Page(compared("--against", "first"))
    assert "2 pictures that one run alone has scored are left out" in page.text
    assert "3 pictures of test that both" in page.text


@pytest.fixture
def left(runs: Path) -> Iterator[None]:
    """What was there before stays there."""
    Path("report.html").write_text("before")
    yield
    assert Path("report.html").read_text() == "before"


@pytest.mark.usefixtures("left")
def test_what_is_no_run_is_one_sentence(runs: Path) -> None:
    assert refused("--against", "nowhere").startswith("nowhere: neither git nor DVC has such a revision;")
    run(runs, "git", "rm", "--quiet", "--cached", str(PER_IMAGE))
    run(runs, "git", "commit", "--quiet", "--message", "bare")
    assert "has no metrics/per_image.csv" in refused("--against", "HEAD")
    write_text(PER_IMAGE, "image_id,file_name,caption,CIDEr\n1,1.jpg,a dog,high\n")
    assert "per_image.csv of this run: not as Capflow writes it" in refused("--against", "first")
    PER_IMAGE.unlink()
    assert "there is no such file; run `dvc repro` first." in refused("--against", "first")


@pytest.mark.usefixtures("left")
def test_runs_of_other_pictures_cannot_be_compared(runs: Path) -> None:
    score({98: "a dog", 99: "a cat"})
    assert "scored none of the pictures" in refused("--against", "first")
    run(runs, "git", "commit", "--quiet", "--all", "--message", "others")
    assert "has other pictures than metrics/per_image.csv" in refused("--against", "HEAD")


@pytest.mark.usefixtures("left")
def test_pictures_of_other_data_that_have_the_same_numbers_are_not_compared(runs: Path) -> None:
    """Many data sets count from 1."""
    told = PER_IMAGE.read_text()
    assert ".jpg" in told
    PER_IMAGE.write_text(told.replace(".jpg", ".jpeg"))
    assert "scored none of the pictures" in refused("--against", "first")


def test_without_git_that_is_said(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "PATH", str(runs))
    assert refused("--against", "first") == "git: there is no such program; install it."


def test_pictures_that_are_gone_leave_room(runs: Path) -> None:
    archives.pack(runs / "data/images/test.zip", ["1.jpg"], lambda _: jpeg(1))
    _, thumbnails = data(compared("--against", "first"))
    assert [bool(small) for small in thumbnails] == [True, False, False, False, False]
