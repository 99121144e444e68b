"""Experiments of DVC that run in copies of the checkout, and what compares them."""

import csv
import io
import json
import sqlite3
import time
from pathlib import Path

import pytest

from tests.checkout import make_checkout, ran, run

pytestmark = pytest.mark.slow
RATES = ("0.001", "0.01")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with three experiments: one in a temporary copy, two in a queue with two workers."""
    folder = tmp_path_factory.mktemp("capflow")
    make_checkout(folder)
    output = run(folder, "dvc", "exp", "run", "--temp", "--name", "temp", "-S", "train.lr=0.02")
    assert ran(output) == ["train", "generate_captions", "evaluate"]
    run(folder, "dvc", "exp", "run", "--queue", "-S", f"train.lr={','.join(RATES)}")
    run(folder, "dvc", "queue", "start", "--jobs", "2")
    stop = time.monotonic() + 400
    while any(state in run(folder, "dvc", "queue", "status") for state in ("Queued", "Running")):
        assert time.monotonic() < stop, run(folder, "dvc", "queue", "status")
        time.sleep(3)
    return folder


def rows(folder: Path) -> list[tuple[str, str, float, float]]:
    """Status, learning rate, training loss and CIDEr of each run in the one store."""
    with sqlite3.connect(folder / "mlflow.db") as store:
        found = store.execute(
            "select status, params.value, loss.value, cider.value from runs"
            " join params on params.run_uuid = runs.run_uuid and params.key = 'train.lr'"
            " join latest_metrics loss on loss.run_uuid = runs.run_uuid and loss.key = 'train_loss'"
            " join latest_metrics cider on cider.run_uuid = runs.run_uuid and cider.key = 'CIDEr'"
        ).fetchall()
    store.close()
    return found


def test_all_experiments_are_rows_of_one_store(checkout: Path) -> None:
    found = rows(checkout)
    assert sorted(float(rate) for _, rate, _, _ in found) == [0.001, 0.003, 0.01, 0.02]
    assert {state for state, *_ in found} == {"FINISHED"}
    assert len({loss for _, _, loss, _ in found}) == 4


def test_the_workspace_is_as_it_was(checkout: Path) -> None:
    assert run(checkout, "git", "status", "--porcelain") == ""
    assert ran(run(checkout, "dvc", "repro")) == []


def test_dvc_shows_what_mlflow_recorded(checkout: Path) -> None:
    table = list(csv.DictReader(io.StringIO(run(checkout, "dvc", "exp", "show", "--csv"))))
    shown = {float(row["train.lr"]): float(row["CIDEr"]) for row in table if row["CIDEr"]}
    recorded = {float(rate): cider for _, rate, _, cider in rows(checkout)}
    assert shown == pytest.approx(recorded)


def test_differences_of_metrics_and_plots(checkout: Path, tmp_path: Path) -> None:
    metrics = json.loads(run(checkout, "dvc", "metrics", "diff", "--json", "HEAD", "temp"))
    assert "CIDEr" in metrics["metrics/scores.json"]
    params = json.loads(run(checkout, "dvc", "params", "diff", "--json", "HEAD", "temp"))
    assert params["params.yaml"]["train.lr"]["new"] == 0.02
    run(checkout, "dvc", "plots", "diff", "HEAD", "temp", "-o", str(tmp_path / "plots"))
    page = (tmp_path / "plots" / "index.html").read_text()
    assert page.count('"rev": "temp"') > 1


def test_what_two_experiments_share_is_trained_once(checkout: Path) -> None:
    output = run(checkout, "dvc", "exp", "run", "--temp", "-S", "train.lr=0.02", "-S", "generate.beam=2")
    assert "Stage 'train' is cached" in output
    assert ran(output) == ["generate_captions", "evaluate"]
    assert len([row for row in rows(checkout) if row[1] == "0.02"]) == 2
