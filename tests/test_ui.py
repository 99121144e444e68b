"""`capflow ui`: the table of runs with columns that tell them apart, in each store that Capflow uses."""

import json
import os
import socket
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from typer.testing import CliRunner

from capflow.cli import app
from capflow.tracking import Store

TAG = "mlflow.sharedViewState.capflow"
PAGE = "#/experiments/1/runs?workflowType=machine_learning&viewStateShareKey=capflow"


@pytest.fixture(autouse=True)
def _checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    monkeypatch.chdir(tmp_path)


def tags() -> dict[str, str]:
    store = Store()
    return dict(store.client.get_experiment(store.experiment).tags)


def test_the_experiment_has_a_view_with_the_columns_that_tell_runs_apart() -> None:
    told = tags()
    view = json.loads(told[TAG])
    columns = json.loads(view["state"])["selectedColumns"]
    for name in ("params.`decoder.name`", "params.`train.lr`", "metrics.`best_val_CIDEr`", "metrics.`CIDEr`"):
        assert name in columns
    assert told["mlflow.experimentKind"] == "custom_model_development"


def test_a_view_that_somebody_changed_stays(tmp_path: Path) -> None:
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    experiment = client.create_experiment("capflow", tags={"mlflow.experimentKind": "regression"})
    assert TAG in tags()  # an experiment of an earlier version gets it, too
    client.set_experiment_tag(experiment, TAG, "mine")
    assert tags() == {TAG: "mine", "mlflow.experimentKind": "regression"}


def test_a_server_that_lets_nobody_change_experiments_takes_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise MlflowException("Permission denied")

    monkeypatch.setattr(MlflowClient, "set_experiment_tag", refuse)
    assert Store().create("a run", {}, 0)


def test_the_address_is_told_before_the_server_starts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    begun: list[tuple[list[str], str]] = []
    store = "MLFLOW_BACKEND_STORE_URI"
    monkeypatch.setattr(os, "execve", lambda _, command, named: begun.append((command, named[store])))
    told = CliRunner().invoke(app, ["ui", "--port", "5987"])
    assert told.output == f"All runs: http://127.0.0.1:5987/{PAGE}\n"
    [(command, served)] = begun
    assert command[1:] == ["-m", "mlflow", "ui", "--port=5987", "--workers=1"]
    assert served == f"sqlite:///{tmp_path}/mlflow.db"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert "is taken by another program" in str(CliRunner().invoke(app, ["ui", "--port", port]).exception)
    assert len(begun) == 1
