"""The pipeline, by DVC: killed in each stage, stopped and orphaned in training, it ends in the same lock."""

import os
import random
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest

from tests.checkout import SMALL, STAGES, environment, lay_out, make_checkout, ran, run
from tests.faults.trainings import wait_until

pytestmark = pytest.mark.slow
# Without --force DVC would take the model that it knows out of its cache.
COMMAND = ("dvc", "repro", "--force", "--no-run-cache", "--single-item", "train")


PARAMS = {
    **SMALL["params.yaml"],
    "train": {**SMALL["params.yaml"]["train"], "epochs": 20},  # long enough to be hit
}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("capflow")
    make_checkout(folder, {**SMALL, "params.yaml": PARAMS})
    return folder


def test_killed_in_each_stage_the_pipeline_ends_in_the_same_lock(checkout: Path, tmp_path: Path) -> None:
    """All processes at once, as when a machine goes down: DVC, the stage and what it started."""
    lay_out(tmp_path, {**SMALL, "params.yaml": PARAMS})
    draw, hit = random.Random(1), set()
    said = tmp_path / "said.txt"
    for attempt in range(2 * len(STAGES)):
        process = begun(tmp_path, said, attempt // 2)
        time.sleep(draw.uniform(0, 3))
        if process.poll() is None:
            hit.add(ran(said.read_text())[-1])
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert len(hit) >= 6, hit
    os.truncate(tmp_path / "dvc.lock", 0)
    process = begun(tmp_path, said, len(STAGES))
    assert process.wait() == 0, said.read_text()
    assert (tmp_path / "dvc.lock").read_bytes() == (checkout / "dvc.lock").read_bytes()


def begun(folder: Path, said: Path, place: int) -> "subprocess.Popen[bytes]":
    """`dvc repro`, at work at the stage of that place or at a later one, or ended.

    Where a kill tore DVC's files, they are mended.
    """
    wanted = set(STAGES[place:])
    while True:
        with said.open("w") as stream:
            process = subprocess.Popen(
                ("dvc", "repro"),
                cwd=folder,
                env=environment(),
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )
        wait_until(lambda: wanted & {*ran(said.read_text())} or process.poll() is not None)  # noqa: B023
        told = said.read_text()
        torn = [path for path in ("./dvc.lock", ".dvc/tmp/rwlock") if f"{path}'" in told]
        if not process.poll() or not torn:
            return process
        for path in torn:
            (folder / path).unlink()


def train(checkout: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(COMMAND, cwd=checkout, env=environment(), stdout=subprocess.DEVNULL)


def stage_at_work(checkout: Path) -> int:
    """The process of the stage, once it has begun with an epoch's checkpoint."""
    made = checkout / ".capflow/checkpoints"
    wait_until(lambda: list(made.glob("*/[0-9]*.*.json")) and not list(made.glob("*/ended.json")))
    return int((checkout / ".capflow/train.lock").read_text())


def runs(checkout: Path) -> list[tuple[str, int]]:
    """Of each run the status, and how many losses it has."""
    with sqlite3.connect(checkout / "mlflow.db") as store:
        found = store.execute(
            "select status, (select count(*) from metrics m where m.run_uuid = r.run_uuid"
            " and key = 'train_loss') from runs r order by start_time"
        ).fetchall()
    store.close()
    return found


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_row_28_to_30_dvc_repro_goes_on(number: signal.Signals, checkout: Path) -> None:
    before, known = (checkout / "dvc.lock").read_bytes(), runs(checkout)
    process = train(checkout)
    os.kill(stage_at_work(checkout), number)
    assert process.wait(timeout=300) != 0
    output = run(checkout, *COMMAND)
    assert ran(output) == ["train"]
    assert "going on after step" in output
    assert (checkout / "dvc.lock").read_bytes() == before
    assert runs(checkout) == [*known, known[0]]


def test_row_31_an_orphan_keeps_others_out(checkout: Path) -> None:
    process = train(checkout)
    orphan = stage_at_work(checkout)
    os.kill(orphan, signal.SIGSTOP)
    process.kill()
    process.wait()
    try:
        output = run(checkout, *COMMAND, fails=True)
        assert f"is at work here already, process {orphan}" in output
    finally:
        os.kill(orphan, signal.SIGCONT)
    wait_until(lambda: not (checkout / ".capflow/train.lock").exists())
    assert (checkout / "data/model/model.safetensors").exists()
