"""The record: one row a trained model, with the scores on it, in a store that many may create at once."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from capflow import tracking
from capflow.params import Params, load_params

ROOT = Path(__file__).parents[1]


@pytest.fixture
def params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_EXP_NAME", "bold-try")
    return load_params(ROOT / "params.yaml")


def query(statement: str) -> list[tuple[object, ...]]:
    store = sqlite3.connect("mlflow.db")
    rows = store.execute(statement).fetchall()
    store.close()
    return rows


def train(params: Params, model: str) -> None:
    with tracking.training_run(params) as recorder:
        for step in range(1, 1201):
            recorder.log({"train_loss": 1 / step, "lr": 0.1}, step)
        recorder.tag(tracking.MODEL_TAG, model)


def test_scores_join_the_row_of_their_model(params: Params) -> None:
    train(params, "model-a")
    recorder = tracking.scored_run("model-a", params)
    recorder.log({"CIDEr": 0.9}, step=0)
    recorder.flush()
    assert query("select name, status from runs") == [("bold-try", "FINISHED")]
    assert query("select count(*) from metrics where key = 'lr'") == [(1200,)]
    assert query("select value from latest_metrics where key = 'CIDEr'") == [(0.9,)]
    assert query("select value from params where key in ('train.lr', 'generate.beam') order by key") == [
        (str(params.generate.beam),),
        (str(params.train.lr),),
    ]
    assert query("select value from tags where key = 'dvc.experiment'") == [("bold-try",)]


def test_another_search_gets_a_row_of_its_own(params: Params) -> None:
    train(params, "model-a")
    tracking.scored_run("model-a", params)
    wider = params.model_copy(update={"generate": params.generate.model_copy(update={"beam": 7})})
    for _ in range(2):
        recorder = tracking.scored_run("model-a", wider)
        recorder.log({"CIDEr": 0.95}, step=0)
        recorder.flush()
    assert sorted(query("select value from params where key = 'generate.beam'")) == [("3",), ("7",)]
    assert query("select count(*) from latest_metrics where key = 'train_loss'") == [(2,)]


def test_a_failed_training_is_marked_and_keeps_its_record(params: Params) -> None:
    def fail() -> None:
        with tracking.training_run(params) as recorder:
            recorder.log({"train_loss": 3.0}, 1)
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail()
    assert query("select status from runs") == [("FAILED",)]
    assert query("select value from metrics") == [(3.0,)]


def test_many_may_create_the_store_at_once(params: Params, tmp_path: Path) -> None:
    script = (
        f"import sys; sys.path.insert(0, {str(ROOT / 'src')!r})\n"
        "from capflow import tracking\n"
        "from capflow.params import load_params\n"
        f"params = load_params(__import__('pathlib').Path({str(ROOT / 'params.yaml')!r}))\n"
        "with tracking.training_run(params): pass\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path) for _ in range(2)]
    assert [process.wait(timeout=120) for process in running] == [0, 0]
    assert query("select count(*) from runs") == [(2,)]
    assert query("select count(*) from experiments where name = 'capflow'") == [(1,)]
