"""Trainings that are killed, stopped and doubled end as one that was left alone, in one run of the record."""

import os
import random
import shutil
import signal
import time
from pathlib import Path

import pytest

from capflow.models.captioner import DECODERS
from tests.faults.trainings import (
    Kennel,
    assert_ends_alike,
    checkpoints,
    lay_out,
    left_alone,
    recorded,
    results,
    said,
    wait_until,
)

KILLS = int(os.environ.get("CAPFLOW_KILLS", "12"))


@pytest.fixture
def folder(tmp_path: Path, record: Path) -> Path:
    lay_out(tmp_path, record)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("decoder", DECODERS)
def test_row_28_killed_many_times_the_training_ends_in_the_same_bytes(
    decoder: str, precision: str, tmp_path: Path, record: Path, stable: Kennel
) -> None:
    folder, whole, draw = tmp_path / "one", tmp_path / "whole", random.Random(decoder)
    for each in (folder, whole):
        lay_out(each, record, decoder, precision=precision)
    began = time.monotonic()
    left_alone(stable, whole)
    lasts = time.monotonic() - began
    hits = 0
    for _ in range(10 * KILLS):  # some come when a training has ended: these do not count
        if hits == KILLS:
            break
        process = stable.start(folder)
        time.sleep(draw.uniform(0, lasts))
        os.kill(process, signal.SIGKILL)
        hit = stable.exit_code(process) == -signal.SIGKILL
        hits, lasts = hits + hit, lasts if hit else 0.8 * lasts  # the first one took its time to warm up
        if not checkpoints(folder):
            shutil.rmtree(folder / "data/model", ignore_errors=True)  # as DVC does before it runs a stage
    assert hits == KILLS
    left = folder / "data/model/.model.safetensors.1.tmp"  # as one of the kills may well have left it
    left.parent.mkdir(exist_ok=True)
    left.write_text("half a model")
    assert stable.exit_code(stable.start(folder)) == 0, said(folder)
    assert results(folder) == results(whole)
    # One that was killed after its end is done once more, like one that was forced, in a run of its own.
    [(_, expected)] = recorded(whole)
    assert all(numbers == expected for _, numbers in recorded(folder))


def test_row_28_killed_after_a_few_steps(folder: Path, whole: Path, stable: Kennel) -> None:
    for number in (1, 3):
        process = stable.start(folder, pause=0.05)
        wait_until(lambda: any(int(path.name[:8]) > number for path in checkpoints(folder)))  # noqa: B023
        os.kill(process, signal.SIGKILL)
        assert stable.exit_code(process) == -signal.SIGKILL
    assert [status for status, _ in recorded(folder)] == ["RUNNING"]
    assert_ends_alike(stable, folder, whole)
    assert "going on after step" in said(folder)


def test_row_28_killed_while_the_record_is_made(folder: Path, whole: Path, stable: Kennel) -> None:
    """MLflow can neither use nor mend a store that was left half made."""
    (folder / "mlflow.db").unlink()
    process = stable.start(folder)
    wait_until((folder / "mlflow.db.new").exists)
    os.kill(process, signal.SIGKILL)
    assert stable.exit_code(process) == -signal.SIGKILL
    assert not (folder / "mlflow.db").exists()
    assert_ends_alike(stable, folder, whole)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)]
)
def test_row_29_and_30_a_signal_ends_with_a_checkpoint(
    number: signal.Signals, code: int, folder: Path, whole: Path, stable: Kennel
) -> None:
    process = stable.start(folder, interval=1e9, pause=0.2)
    wait_until(lambda: has_learnt(folder))
    os.kill(process, number)
    assert stable.exit_code(process) == code, said(folder)
    assert len(checkpoints(folder)) >= 1
    assert states(folder) == ["KILLED"]
    assert f"{number.name}: stopped after step" in said(folder)
    assert_ends_alike(stable, folder, whole)


def has_learnt(folder: Path) -> bool:
    """Whether a step is done, by the journal."""
    journals = (folder / ".capflow/record").glob("*/journal.jsonl")
    return any('"train_loss"' in journal.read_text() for journal in journals)


def states(folder: Path) -> list[str]:
    return [status for status, _ in recorded(folder)]


def test_row_30_ctrl_c_twice_leaves_at_once(folder: Path, stable: Kennel) -> None:
    process = stable.start(folder, pause=60)
    wait_until(lambda: "RUNNING" in states(folder))
    time.sleep(0.5)
    os.kill(process, signal.SIGINT)
    time.sleep(0.2)
    began = time.monotonic()
    os.kill(process, signal.SIGINT)
    assert (stable.exit_code(process), time.monotonic() - began < 5) == (130, True)


def test_row_31_and_32_nobody_writes_beside_an_orphan(folder: Path, stable: Kennel) -> None:
    """An orphan is a stage like any other: DVC, which started it, is not asked for."""
    orphan = stable.start(folder, pause=60)
    wait_until(lambda: "RUNNING" in states(folder))
    second = stable.start(folder)
    assert stable.exit_code(second) == 1
    assert f"this stage is at work here already, process {orphan}; wait for its end" in said(folder)
    assert "Traceback" not in said(folder)
    os.kill(orphan, signal.SIGKILL)
    assert stable.exit_code(orphan) == -signal.SIGKILL
    assert stable.exit_code(stable.start(folder)) == 0, said(folder)


def test_row_32_the_same_training_in_another_workspace_waits(
    folder: Path, whole: Path, stable: Kennel
) -> None:
    """As queued experiments do that differ in the search alone: they share the store of the repository."""
    copy = folder / "copy"
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("dvc.yaml", "mlflow.db", "copy"))
    first = stable.start(folder, pause=0.3)
    wait_until(lambda: "RUNNING" in states(folder))
    second = stable.start(copy)
    wait_until(
        lambda: f"waiting for a training of the same parameters and data, process {first}" in said(copy)
    )
    assert (stable.exit_code(first), stable.exit_code(second)) == (0, 0), said(copy)
    assert results(folder) == results(copy) == results(whole)
    assert recorded(folder) == 2 * recorded(whole)


def test_a_forced_run_trains_anew(folder: Path, stable: Kennel) -> None:
    for _ in range(2):
        assert stable.exit_code(stable.start(folder)) == 0, said(folder)
    first, second = recorded(folder)
    assert first == second
    assert "going on" not in said(folder)
