"""The whole pipeline, by DVC, on shrunken scenes in a copy of this checkout."""

import json
import re
import shutil
import sqlite3
from pathlib import Path

import pytest
import yaml
from mlflow import MlflowClient
from mlflow.entities import Run
from pycocotools.coco import COCO

from tests.checkout import ROOT, STAGES, make_checkout, ran, run
from tests.notebook import TOUR, executed, table_in

SCORES = ["Bleu_1", "Bleu_2", "Bleu_3", "Bleu_4", "METEOR", "ROUGE_L", "CIDEr"]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("capflow")
    make_checkout(folder)
    return folder


def test_every_split_loads_in_pycocotools(checkout: Path) -> None:
    for split, pictures in (("train", 40), ("val", 10), ("test", 20)):
        coco = COCO(checkout / "data" / "annotations" / f"{split}.json")
        assert len(coco.imgs) == pictures
        assert len(coco.anns) == 5 * pictures


def test_scores_are_the_seven_and_the_truth(checkout: Path) -> None:
    scores = json.loads((checkout / "metrics" / "scores.json").read_text())
    assert list(scores) == [*SCORES, "truth", "truth_unseen"]
    assert all(isinstance(value, float) for value in scores.values())


def test_what_the_captions_are_like_is_counted(checkout: Path) -> None:
    figures = json.loads((checkout / "metrics" / "captions.json").read_text())
    assert figures["captions"] == sum(figures["captions_by_length"]) == 20
    assert 1 <= figures["distinct"] <= 20
    assert sum(figures["references_by_length"]) == 100


def test_predictions_are_coco_results_and_score_alike(checkout: Path) -> None:
    results = json.loads((checkout / "data" / "predictions" / "test.json").read_text())
    assert {key for row in results for key in row} == {"image_id", "caption"}
    assert len(results) == 20
    output = run(checkout, "capflow", "score", "data/annotations/test.json", "data/predictions/test.json")
    scores = json.loads((checkout / "metrics" / "scores.json").read_text())
    assert json.loads(output) == {name: scores[name] for name in SCORES}


def test_the_report_needs_no_network(checkout: Path) -> None:
    page = (checkout / "metrics" / "report" / "index.html").read_text()
    assert "data:image/jpeg;base64," in page
    assert "missing or damaged" not in page
    assert not re.search(r"(src|href)=[\"']?https?:", page)


def test_nothing_runs_again_without_a_change(checkout: Path) -> None:
    assert ran(run(checkout, "dvc", "repro")) == []


def test_the_command_line_captions_and_shows(checkout: Path, tmp_path: Path) -> None:
    run(checkout, "capflow", "show", "val", "--count", "4", "--predictions", "-o", str(tmp_path / "grid.png"))
    assert (tmp_path / "grid.png").read_bytes().startswith(b"\x89PNG")
    rows = json.loads(
        run(checkout, "capflow", "caption", "--json", "--beam", "2", str(tmp_path / "grid.png"))
    )
    assert set(rows[0]) == {"image", "caption", "log_p"}


def test_a_bad_picture_is_one_sentence(checkout: Path, tmp_path: Path) -> None:
    (tmp_path / "cat.jpg").write_bytes(b"<html>")
    output = run(checkout, "capflow", "caption", str(tmp_path / "cat.jpg"), fails=True)
    assert output.startswith("error: ")
    assert output.count("\n") == 1


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("+train.lrr=1", "no parameter `train.lrr`"),
        ("data.name=nowhere", "nowhere"),
    ],
)
def test_a_bad_parameter_is_named_and_nothing_is_lost(checkout: Path, change: str, named: str) -> None:
    before = (checkout / "data" / "model" / "model.safetensors").read_bytes()
    output = run(checkout, "dvc", "exp", "run", "-S", change, fails=True)
    assert named in output
    assert "Traceback" not in output
    run(checkout, "git", "restore", ".")
    run(checkout, "dvc", "checkout")
    assert (checkout / "data" / "model" / "model.safetensors").read_bytes() == before


def test_a_learning_rate_runs_again_what_depends_on_it(checkout: Path) -> None:
    output = run(checkout, "dvc", "exp", "run", "--name", "faster", "-S", "train.lr=1e-2")
    assert ran(output) == ["train", "generate_captions", "evaluate"]
    with sqlite3.connect(checkout / "mlflow.db") as store:
        rates = store.execute("select value from params where key = 'train.lr'").fetchall()
        scored = store.execute("select count(*) from latest_metrics where key = 'CIDEr'").fetchone()
        states = store.execute("select distinct status from runs").fetchall()
        rows = store.execute("select count(*) from metrics where key = 'lr'").fetchone()
    store.close()
    shipped = yaml.safe_load((ROOT / "params.yaml").read_text())["train"]["lr"]
    assert set(rates) == {("0.01",), (str(shipped),)}
    assert scored == (2,)
    assert states == [("FINISHED",)]
    assert rows[0] >= 4


def test_the_table_of_runs_alone_tells_the_story(checkout: Path) -> None:
    """Of the run that `dvc repro` made, and of an experiment."""
    client = MlflowClient(f"sqlite:///{checkout / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("capflow")
    assert experiment
    runs = client.search_runs([experiment.experiment_id], order_by=["attributes.start_time"])
    params = yaml.safe_load((checkout / "params.yaml").read_text())
    commits = run(checkout, "git", "rev-list", "--all").split()
    for one in runs:
        assert {"decoder.name", "encoder.name", "train.batch_size"} <= one.data.params.keys()
        assert one.data.params["train.epochs"] == str(params["train"]["epochs"])
        assert {"val_CIDEr", "best_val_CIDEr", "lr", *SCORES} <= one.data.metrics.keys()
        assert 0 < one.data.metrics["train_seconds"] < 600
        assert one.info.start_time < one.info.end_time
        assert one.data.tags["device"]
        assert one.data.tags["mlflow.source.git.commit"] in commits
        assert inputs(one) == digests(checkout, one)
    assert [one.data.params["train.lr"] for one in runs][1:] == ["0.01"]
    assert [one.data.tags.get("dvc.experiment") for one in runs] == [None, "faster"]


def inputs(one: Run) -> dict[str, str]:
    assert one.inputs
    return {read.dataset.name: read.dataset.digest for read in one.inputs.dataset_inputs}


def digests(checkout: Path, one: Run) -> dict[str, str]:
    """What DVC has on record, which is also in the table's own columns, and the test's."""
    stages = yaml.safe_load((checkout / "dvc.lock").read_text())["stages"].values()
    outs = {out["path"]: out["md5"] for stage in stages for out in stage["outs"]}
    found = {name: outs[f"data/{name}"] for name in ("vocab", "tensors", "features")}
    assert {name: one.data.params[f"digest.{name}"] for name in found} == found
    tested = {"scenes.test": one.data.tags["capflow.test_digest"]}
    return {f"scenes.{name}": digest for name, digest in found.items()} | tested


def test_two_runs_are_compared_without_a_network(checkout: Path, tmp_path: Path) -> None:
    run(checkout, "dvc", "plots", "diff", "HEAD", "workspace", "-o", str(tmp_path))
    drawn = (tmp_path / "index.html").read_text()
    assert drawn.count("vegaEmbed('#") == 3
    assert not re.search(r"(src|href)=[\"']?https?:", drawn)
    assert "function vegaEmbed(" in drawn
    run(checkout, "capflow", "report", "--against", "HEAD", "-o", str(tmp_path / "report.html"))
    page = (tmp_path / "report.html").read_text()
    assert "20 pictures of test that both runs have scored" in page
    assert re.search(r'<th scope="row">train.lr</th><td>0.01</td><td>0.00\d+</td>', page)
    run(checkout, "capflow", "report", "--against", "faster", "-o", str(tmp_path / "same.html"))
    assert "<p>None.</p>" in (tmp_path / "same.html").read_text()


def test_the_tour_tells_of_both(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(checkout / "notebooks")
    table = table_in(executed(TOUR, monkeypatch))
    assert table["run"].to_list()[0] == "faster"
    assert table["learning rate"].to_list()[0] == "0.01"
    assert table.notna().all(axis=None)
    assert "data/model: updown, learning rate 0.01" in capsys.readouterr().out


def test_the_last_good_run_comes_back(checkout: Path) -> None:
    run(checkout, "git", "restore", ".")
    run(checkout, "dvc", "checkout")
    assert ran(run(checkout, "dvc", "repro")) == []


@pytest.mark.slow
def test_models_speak_along_and_a_change_of_one_is_noticed(checkout: Path) -> None:
    second = checkout / "data" / "ensemble" / "second"
    shutil.copytree(checkout / "data" / "model", second)
    output = run(checkout, "dvc", "exp", "run", "-S", "generate.models=[second]", "generate_captions")
    assert ran(output) == ["generate_captions"]
    assert "data/ensemble" not in run(checkout, "dvc", "status", "generate_captions")
    with (second / "config.json").open("a") as stream:
        stream.write("\n")
    assert "data/ensemble" in run(checkout, "dvc", "status", "generate_captions")
    shutil.rmtree(second)
    run(checkout, "git", "restore", ".")
    run(checkout, "dvc", "checkout")


@pytest.mark.slow
def test_another_size_of_pictures_numbers_no_word_anew(checkout: Path) -> None:
    output = run(checkout, "dvc", "exp", "run", "-S", "tensors.size=24", "build_vocab")
    assert ran(output) == ["precompute_tensors"]
    run(checkout, "git", "restore", ".")
    run(checkout, "dvc", "checkout")


def test_a_second_clean_run_gives_the_same_bytes(checkout: Path) -> None:
    before = (checkout / "dvc.lock").read_bytes()
    assert ran(run(checkout, "dvc", "repro", "--force", "--no-run-cache")) == STAGES
    assert (checkout / "dvc.lock").read_bytes() == before
    assert run(checkout, "git", "status", "--porcelain") == ""
