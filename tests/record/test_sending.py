"""Journals on their way: each number is there once, whatever was noted, deleted or sent before."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from capflow import project, tracking
from capflow.params import Params, load_params
from capflow.record.journal import Journal, journals
from capflow.record.recorder import RunRecorder, Scored, record_scores, training_run
from capflow.record.scoring import MODEL_TAG
from capflow.record.sending import send_all
from capflow.tracking import Store
from tests.checkout import ROOT

TESTED = Scored("test", "0123")


@pytest.fixture
def params(record: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    shutil.copy(record, tmp_path / "mlflow.db")
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    monkeypatch.chdir(tmp_path)
    return load_params(ROOT / "params.yaml")


def query(statement: str) -> list[tuple[object, ...]]:
    store = sqlite3.connect("mlflow.db")
    rows = store.execute(statement).fetchall()
    store.commit()
    store.close()
    return rows


def steps() -> list[object]:
    """Of the losses in runs that nobody deleted."""
    found = query(
        "select step from metrics m join runs r on r.run_uuid = m.run_uuid and lifecycle_stage = 'active'"
        " where key = 'train_loss' order by step"
    )
    return [step for (step,) in found]


def log(recorder: RunRecorder, numbers: range) -> None:
    for step in numbers:
        recorder.log({"train_loss": 1 / step, "lr": 0.1}, step)


@contextmanager
def without_mlflow() -> Iterator[None]:
    """Nothing is sent."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
        patch.setattr(Store, "__init__", _away)
        yield


def _away(_: Store) -> None:
    raise tracking.AwayError("MLflow: away.")


def test_what_was_sent_but_not_noted_is_there_once(params: Params, tmp_path: Path) -> None:
    with without_mlflow(), training_run(params, "one") as recorder:
        log(recorder, range(1, 1001))
    (journal,) = journals(project.record())
    shutil.copytree(journal.folder, tmp_path / "kept")
    for _ in range(2):
        assert send_all(project.record(), Store()) == []
        assert journals(project.record()) == []
        assert steps() == [*range(1, 1001)]
        assert query("select status from runs") == [("FINISHED",)]
        shutil.copytree(tmp_path / "kept", journal.folder)


def test_a_training_that_was_killed_is_killed_in_the_record_until_it_goes_on(params: Params) -> None:
    def kept(numbers: range) -> None:
        """A training whose process dies behind the numbers: its journal has no end."""
        with without_mlflow(), training_run(params, "one") as recorder:
            log(recorder, numbers)
        (journal,) = journals(project.record())
        *lines, end = journal.path.read_bytes().splitlines(keepends=True)
        assert b'"FINISHED"' in end
        journal.path.write_bytes(b"".join(lines))

    def state() -> list[tuple[object, ...]]:
        return query("select status from runs")

    kept(range(1, 6))
    (journal,) = journals(project.record())
    with journal.writing():  # it lives
        assert send_all(project.record(), Store()) == []
        assert (state(), steps()) == ([("RUNNING",)], [*range(1, 6)])
    assert send_all(project.record(), Store()) == []
    assert (state(), steps(), journals(project.record())) == ([("KILLED",)], [*range(1, 6)], [])
    with training_run(params, "one") as recorder:
        log(recorder, range(1, 9))
        recorder.flush()
    assert (state(), steps()) == ([("FINISHED",)], [*range(1, 9)])


def test_a_training_whose_journal_is_gone_tells_the_store_what_it_lacks(params: Params) -> None:
    for numbers in (range(1, 6), range(1, 9)):
        with training_run(params, "one") as recorder:
            log(recorder, numbers)
        assert journals(project.record()) == []
    assert steps() == [*range(1, 9)]
    with without_mlflow(), training_run(params, "one") as recorder:
        log(recorder, range(3, 12))
    assert send_all(project.record(), Store()) == []
    assert steps() == [*range(1, 12)]


def test_a_run_that_is_deleted_in_mid_training_is_begun_again(params: Params) -> None:
    with training_run(params, "one") as recorder:
        log(recorder, range(1, 5))
        query("update runs set lifecycle_stage = 'deleted'")
        log(recorder, range(5, 9))
        recorder.tag(MODEL_TAG, "model")
    assert steps() == [*range(1, 9)]
    assert sorted(query("select status, lifecycle_stage from runs")) == [
        ("FINISHED", "active"),
        ("RUNNING", "deleted"),
    ]


def test_scores_come_after_the_training_and_once(params: Params, tmp_path: Path) -> None:
    """Of two that wait, and of the same ones told twice."""
    (tmp_path / "scores.json").write_text("{}")
    artifacts = {"scores.json": tmp_path / "scores.json"}
    with without_mlflow():
        with training_run(params, "one") as recorder:
            log(recorder, range(1, 5))
            recorder.tag(MODEL_TAG, "model")
        for _ in range(2):
            record_scores("model", params, {"CIDEr": 0.9}, TESTED, artifacts)
    assert len(journals(project.record())) == 3
    assert send_all(project.record(), Store()) == []
    assert query("select count(*) from runs") == [(1,)]
    assert query("select value from metrics where key = 'CIDEr'") == [(0.9,)]
    assert list(project.record().iterdir()) == []


def test_scores_wait_for_a_training_that_another_process_is_sending(params: Params) -> None:
    with without_mlflow():
        with training_run(params, "one") as recorder:
            recorder.tag(MODEL_TAG, "model")
        record_scores("model", params, {"CIDEr": 0.9}, TESTED, {})
    training, scores = journals(project.record())
    with training.sending():
        left = send_all(project.record(), Store())
    assert [journal.folder for journal in left] == [training.folder, scores.folder]
    assert query("select count(*) from runs") == [(0,)]
    assert send_all(project.record(), Store()) == []
    assert query("select count(*) from runs") == [(1,)]


def test_what_the_store_refuses_does_not_stop_the_rest(
    params: Params, caplog: pytest.LogCaptureFixture
) -> None:
    with training_run(params, "one") as recorder:
        recorder.tag("a" * 1000, "a name that is too long")
        log(recorder, range(1, 5))
    assert "MLflow refuses a part of the record" in caplog.text
    assert steps() == [1, 2, 3, 4]


def test_a_password_is_written_nowhere(params: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:9/path")
    with training_run(params, "one"):
        pass
    assert Journal(project.record() / "one").address() == "http://127.0.0.1:9/path"
    written = [path.read_bytes() for path in project.record().rglob("*") if path.is_file()]
    assert not any(b"secret" in content for content in written)
