"""Rows 45 and 46: MLflow is away, silent, locked or read-only; training goes on, and nothing is lost."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from capflow.record.postman import PATIENCE
from tests.checkout import environment
from tests.faults.mlflow_server import MlflowServer, free_port, silence
from tests.faults.trainings import Kennel, checkpoints, lay_out, recorded, results, said, wait_until

COMMAND = [sys.executable, "-c", "from capflow.cli import main; main()", "record"]


@pytest.fixture
def folder(tmp_path: Path, record: Path) -> Path:
    lay_out(tmp_path, record)
    return tmp_path


@pytest.fixture
def server(folder: Path) -> Iterator[MlflowServer]:
    """Not started yet; it has the checkout's database, but chooses by itself where artifacts go."""
    store = sqlite3.connect(folder / "mlflow.db")
    store.execute("delete from experiments where name = 'capflow'")
    store.commit()
    store.close()
    server = MlflowServer(folder)
    yield server
    server.kill()


def waiting(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / ".capflow/record").iterdir())


def send(folder: Path, store: str, code: int = 0) -> str:
    """What ``capflow record`` says."""
    done = subprocess.run(
        COMMAND,
        cwd=folder,
        env=environment() | {"MLFLOW_TRACKING_URI": store},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def assert_complete(folder: Path, whole: Path, server: MlflowServer | None = None) -> None:
    """One run with each number once, and the model's files."""
    assert results(folder) == results(whole)
    assert recorded(folder) == recorded(whole)
    assert [status for status, _ in recorded(folder)] == ["FINISHED"]
    if server:
        names = {f"artifacts/model/{path.name}" for path in (folder / "data/model").iterdir()}
        assert {*server.files()} >= {"MLmodel", "samples.json", *names}
    assert waiting(folder) == []


def test_row_45_without_a_server_training_goes_on_and_says_where_the_record_is(
    folder: Path, whole: Path, stable: Kennel
) -> None:
    store = f"http://127.0.0.1:{free_port()}"
    assert stable.exit_code(stable.start(folder, store=store)) == 0, said(folder)
    assert results(folder) == results(whole)
    (name,) = waiting(folder)
    assert f"the rest waits in {folder / '.capflow/record' / name}; `capflow record` sends it" in said(folder)
    assert said(folder).count("Connection refused") == 1
    assert "Traceback" not in said(folder)
    # Not to a store that was not meant, and not forgotten either.
    assert f"not sent: what waits for {store};" in send(folder, "")
    assert recorded(folder) == []
    assert "Connection refused" in send(folder, store, code=1)
    assert waiting(folder) == [name]


def test_row_45_a_server_that_never_answers_costs_five_seconds_at_most(
    folder: Path, whole: Path, stable: Kennel
) -> None:
    def lasts(store: str) -> float:
        began = time.monotonic()
        assert stable.exit_code(stable.start(folder, interval=1e9, store=store)) == 0, said(folder)
        return time.monotonic() - began

    # The quicker of two each: a busy machine may hold up one of them.
    refused = min(lasts(f"http://127.0.0.1:{free_port()}") for _ in range(2))
    with silence() as store:
        silent = min(lasts(store) for _ in range(2))
    assert PATIENCE <= 5
    assert silent - refused < PATIENCE + 3  # of which three are this machine's own
    assert results(folder) == results(whole)
    assert len(waiting(folder)) == 4


@pytest.mark.slow
def test_row_45_what_was_trained_without_a_server_is_sent_by_the_command(
    folder: Path, whole: Path, stable: Kennel, server: MlflowServer
) -> None:
    assert stable.exit_code(stable.start(folder, store=server.address)) == 0, said(folder)
    server.start()
    assert "1 of 1 records are sent" in send(folder, server.address)
    assert_complete(folder, whole, server)
    assert "0 of 0 records are sent" in send(folder, server.address)
    assert_complete(folder, whole, server)


@pytest.mark.slow
def test_row_45_a_server_killed_in_mid_training_and_started_again_has_everything_once(
    folder: Path, whole: Path, stable: Kennel, server: MlflowServer
) -> None:
    server.start()
    process = stable.start(folder, pause=2, store=server.address)
    wait_until(lambda: any(recorded(folder)) and recorded(folder)[0][1])
    server.kill()
    time.sleep(1)
    server.start()
    assert stable.exit_code(process, 300) == 0, said(folder)
    send(folder, server.address)
    assert_complete(folder, whole, server)


@pytest.mark.slow
def test_row_45_training_and_server_are_killed_both_and_the_later_training_sends_it(
    folder: Path, whole: Path, stable: Kennel, server: MlflowServer
) -> None:
    server.start()
    process = stable.start(folder, pause=2, store=server.address)
    wait_until(lambda: any(recorded(folder)) and recorded(folder)[0][1] and checkpoints(folder))
    server.kill()
    time.sleep(0.5)
    os.kill(process, signal.SIGKILL)
    assert stable.exit_code(process) == -signal.SIGKILL
    # It goes on without a server, and the next one that is asked for finds it there.
    assert stable.exit_code(stable.start(folder, store=server.address)) == 0, said(folder)
    assert [status for status, _ in recorded(folder)] == ["RUNNING"]
    server.start()
    assert stable.exit_code(stable.start(folder, store=server.address)) == 0, said(folder)
    send(folder, server.address)
    assert recorded(folder) == 2 * recorded(whole)
    assert waiting(folder) == []


def test_row_46_a_locked_store_is_waited_for(folder: Path, whole: Path, stable: Kennel) -> None:
    store = sqlite3.connect(folder / "mlflow.db", isolation_level=None)
    store.execute("begin exclusive")
    process = stable.start(folder, interval=1e9)
    wait_until((folder / "data/model/model.safetensors").exists)
    store.execute("rollback")
    store.close()
    assert stable.exit_code(process) == 0, said(folder)
    assert_complete(folder, whole)


def test_row_46_a_store_that_cannot_be_written_gets_it_later(
    folder: Path, whole: Path, stable: Kennel
) -> None:
    """SQLite needs a file of that name to write, in a folder that may be written; root may write all."""
    (folder / "mlflow.db-journal").mkdir()
    assert stable.exit_code(stable.start(folder, interval=1e9)) == 0, said(folder)
    assert "disk I/O error" in said(folder)
    assert "Traceback" not in said(folder)
    assert len(waiting(folder)) == 1
    (folder / "mlflow.db-journal").rmdir()
    assert "1 of 1 records are sent" in send(folder, "")
    assert_complete(folder, whole)
