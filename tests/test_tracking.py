"""The record: one row a trained model, with the scores on it, in a store that many may create at once."""

import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from capflow import project
from capflow.errors import CapflowError
from capflow.params import Params, load_params
from capflow.record.recorder import Scored, record_scores, training_run
from capflow.record.scoring import DEVICE_TAG, MODEL_TAG
from tests.checkout import ROOT

TESTED = Scored("test", "0123")


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
    with training_run(params, model) as recorder:
        for step in range(1, 1201):
            recorder.log({"train_loss": 1 / step, "lr": 0.1}, step)
        recorder.tag(DEVICE_TAG, "cpu")
        recorder.tag(MODEL_TAG, model)


def test_scores_join_the_row_of_their_model(params: Params) -> None:
    train(params, "model-a")
    record_scores("model-a", params, {"CIDEr": 0.9}, TESTED, {})
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
    record_scores("model-a", params, {}, TESTED, {})
    wider = params.model_copy(update={"generate": params.generate.model_copy(update={"beam": 7})})
    for _ in range(2):
        record_scores("model-a", wider, {"CIDEr": 0.95}, TESTED, {})
    assert sorted(query("select value from params where key = 'generate.beam'")) == [("3",), ("7",)]
    assert query("select count(*) from latest_metrics where key = 'train_loss'") == [(2,)]
    assert query("select value from tags where key = 'device'") == [("cpu",), ("cpu",)]


def test_a_failed_training_is_marked_and_keeps_its_record(params: Params) -> None:
    def fail() -> None:
        with training_run(params, "one") as recorder:
            recorder.log({"train_loss": 3.0}, 1)
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail()
    assert query("select status from runs") == [("FAILED",)]
    assert query("select value from metrics") == [(3.0,)]


def test_a_training_that_goes_on_has_its_run_and_writes_nothing_twice(params: Params) -> None:
    def interrupted(steps: range) -> None:
        with training_run(params, "one") as recorder:
            assert query("select status from runs") == [("RUNNING",)]
            for step in steps:
                recorder.log({"train_loss": 1 / step}, step)
            raise KeyboardInterrupt

    for steps in (range(1, 6), range(4, 9)):
        with pytest.raises(KeyboardInterrupt):
            interrupted(steps)
        assert query("select status from runs") == [("KILLED",)]
    assert query("select step from metrics order by step") == [(step,) for step in range(1, 9)]
    train(params, "another")
    assert query("select status from runs order by status") == [("FINISHED",), ("KILLED",)]


def test_many_may_create_the_store_at_once(params: Params, tmp_path: Path) -> None:
    script = (
        f"import sys; sys.path.insert(0, {str(ROOT / 'src')!r})\n"
        "from capflow.record.recorder import training_run\n"
        "from capflow.params import load_params\n"
        f"params = load_params(__import__('pathlib').Path({str(ROOT / 'params.yaml')!r}))\n"
        "with training_run(params, sys.argv[1]): pass\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", script, name], cwd=tmp_path) for name in "ab"]
    assert [process.wait(timeout=120) for process in running] == [0, 0]
    assert query("select count(*) from runs") == [(2,)]
    assert query("select count(*) from experiments where name = 'capflow'") == [(1,)]


def test_training_to_the_same_model_again_takes_its_scores_over(params: Params) -> None:
    train(params, "model-a")
    record_scores("model-a", params, {"CIDEr": 0.9, "truth": 0.5}, TESTED, {})
    for model, rows in (("model-b", 1), ("model-a", 2)):
        with training_run(params, f"another of {model}") as recorder:
            recorder.adopt_scores(model, params)
        assert query("select count(*) from latest_metrics where key = 'CIDEr'") == [(rows,)]
    assert query("select value from latest_metrics where key = 'CIDEr'") == [(0.9,), (0.9,)]
    assert query("select value from tags where key = 'capflow.scored_split'") == [("test",), ("test",)]


@pytest.mark.parametrize(
    "uri",
    ["nonsense://x", "sqlite:///damaged.db", "sqlite:///slip/x.db", "sqlite:////slip/x.db", "sqlite:///."],
)
def test_a_store_that_cannot_be_used_is_one_sentence(
    params: Params, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("damaged.db").write_bytes(b"no database" * 100)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(CapflowError, match=re.escape(uri)) as caught, training_run(params, "one"):
        pass
    assert "\n" not in str(caught.value)
    assert list(project.record().iterdir()) == []
    assert not any(Path(slip).exists() for slip in ("slip", "/slip"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MLFLOW_HTTP_REQUEST_TIMEOUT", "soon"),
        ("MLFLOW_HTTP_REQUEST_TIMEOUT", "0"),
        ("MLFLOW_HTTP_REQUEST_TIMEOUT", "2.5"),
        ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "-1"),
    ],
)
def test_numbers_of_mlflow_that_are_none_are_one_sentence(
    params: Params, name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(CapflowError, match=rf"^{name}: '{value}' is no whole number from [01] on"):
        train(params, "one")
    assert list(project.record().iterdir()) == []


@pytest.mark.parametrize("uri", ["", "sqlite:///elsewhere/store.db"])
def test_model_files_stay_at_the_root_whatever_the_working_directory(
    params: Params, uri: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """DVC runs experiments in copies that it removes afterwards."""
    copy = tmp_path / "copy"
    (copy / "elsewhere").mkdir(parents=True)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.chdir(copy)
    with training_run(params, "one") as recorder:
        recorder.file(ROOT / "params.yaml")
    assert [path.name for path in (tmp_path / "mlartifacts").rglob("*.yaml")] == ["params.yaml"]
