"""Row 51: a training that ended is not lost where DVC does not get to record its model."""

import logging
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from capflow import dvcfiles, project
from capflow.files import write_text
from capflow.training.checkpoint import kept
from tests.faults.trainings import (
    Kennel,
    checkpoints,
    lay_out,
    recorded,
    results,
    said,
    send_the_rest,
    wait_until,
)

FIRST, SECOND = "a" * 64, "b" * 64


def dvc_trains(folder: Path, stable: Kennel) -> str:
    """What a stage says that DVC has started: before, DVC removes what it wrote."""
    shutil.rmtree(folder / "data/model", ignore_errors=True)
    before = len(said(folder))
    assert stable.exit_code(stable.start(folder, interval=1e9, dvc="train")) == 0, said(folder)
    send_the_rest(folder)
    return said(folder)[before:]


def dvc_records(folder: Path, md5: str) -> None:
    write_text(folder / "dvc.lock", f"stages: {{train: {{outs: [{{path: data/model, md5: {md5}}}]}}}}")


def test_row_51_what_dvc_lost_is_written_again_and_what_it_has_is_trained_anew(
    tmp_path: Path, record: Path, whole: Path, stable: Kennel, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_out(tmp_path, record)
    dvc_records(tmp_path, "of-an-earlier-training.dir")
    for lost in (False, True):
        told = dvc_trains(tmp_path, stable)
        assert ("DVC has not recorded its model" in told) is lost
        assert ("epoch 1/3" not in told) is lost
        assert results(tmp_path) == results(whole)
        assert recorded(tmp_path) == recorded(whole)
        assert len(checkpoints(tmp_path)) == 1
    monkeypatch.chdir(tmp_path)
    dvc_records(tmp_path, dvcfiles.StageOutput(project.MODEL, tmp_path).digest())
    assert "going on" not in dvc_trains(tmp_path, stable)
    assert recorded(tmp_path) == 2 * recorded(whole)


@pytest.fixture
def model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> dvcfiles.StageOutput:
    """That of the only training, which DVC awaits."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_STAGE", "train")
    caplog.set_level(logging.INFO)
    write_text(project.MODEL / "config.json", "{}")
    return dvcfiles.StageOutput(project.MODEL, tmp_path)


def name_of(training: str, model: dvcfiles.StageOutput) -> str:
    with kept(Path("kept"), training, model) as checkpoints:
        return checkpoints.name


def test_a_training_that_ended_goes_when_another_begins_and_the_cache_has_its_model(
    model: dvcfiles.StageOutput,
) -> None:
    name_of(FIRST, model)
    name_of(SECOND, model)
    assert sorted(path.name for path in Path("kept").iterdir()) == [FIRST, SECOND]
    write_text(dvcfiles.object_of(Path(".dvc/cache"), model.digest()), "[]")
    name_of(SECOND, model)
    assert [path.name for path in Path("kept").iterdir()] == [SECOND]


def test_what_the_cache_has_is_trained_anew_whatever_dvc_lock_names(model: dvcfiles.StageOutput) -> None:
    """Another experiment in the queue, or one after ``git restore dvc.lock``."""
    first = name_of(FIRST, model)
    assert name_of(FIRST, model) == first
    write_text(dvcfiles.object_of(Path(".dvc/cache"), model.digest()), "[]")
    assert name_of(FIRST, model) != first


def test_who_waited_for_the_same_training_begins_anew(
    model: dvcfiles.StageOutput, caplog: pytest.LogCaptureFixture
) -> None:
    """The other one, in another workspace, has just ended, and its DVC is recording it."""
    with ThreadPoolExecutor() as pool:
        with kept(Path("kept"), FIRST, model) as first:
            second = pool.submit(name_of, FIRST, model)
            wait_until(lambda: "waiting for a training" in caplog.text)
        assert second.result() != first.name


def test_by_hand_nothing_stays(model: dvcfiles.StageOutput, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DVC_STAGE")
    first = name_of(FIRST, model)
    assert list(Path("kept").iterdir()) == []
    assert name_of(FIRST, model) != first
