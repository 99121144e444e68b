"""Real services: an MLflow server on PostgreSQL that is killed, and an S3 server as DVC's remote."""

import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.checkout import ROOT, make_checkout, ran, run
from tests.faults.mlflow_server import MlflowServer
from tests.faults.services import postgres, s3
from tests.faults.test_record_away import send
from tests.faults.trainings import Kennel, empty_record, lay_out, recorded, recorded_in, results, wait_until
from tests.photographs import jpeg

pytestmark = pytest.mark.slow
CAPFLOW = (sys.executable, "-c", "from capflow.cli import main; main()")


@pytest.fixture
def database() -> Iterator[str]:
    with postgres() as address:
        yield address


def test_row_45_an_mlflow_server_on_postgresql_is_killed_in_mid_training_and_nothing_is_lost(
    database: str, stable: Kennel, tmp_path: Path
) -> None:
    import psycopg2

    record = empty_record(tmp_path)
    folder, whole = tmp_path / "one", tmp_path / "whole"
    for each in (folder, whole):
        lay_out(each, record)
    assert stable.exit_code(stable.start(whole, interval=1e9)) == 0
    told = psycopg2.connect(database.replace("+psycopg2", ""))
    told.autocommit = True
    server = MlflowServer(tmp_path, database)
    try:
        server.start()
        process = stable.start(folder, pause=2, store=server.address)
        wait_until(lambda: any(numbers for _, numbers in recorded_in(told.cursor())))
        server.kill()
        time.sleep(1)
        server.start()
        assert stable.exit_code(process, 300) == 0, (folder / "stderr.txt").read_text()
        send(folder, server.address)
        assert results(folder) == results(whole)
        assert recorded_in(told.cursor()) == recorded(whole)
        names = {f"artifacts/model/{path.name}" for path in (folder / "data/model").iterdir()}
        assert {*server.files()} >= {"MLmodel", "samples.json", *names}
    finally:
        server.kill()
        told.close()


def test_the_server_of_compose_takes_its_password_from_postgresqls_variable_and_answers_to_its_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["mlflow"]["command"]
    names = next(word for word in command if word.startswith("--allowed-hosts="))
    monkeypatch.setenv("PGPASSWORD", "p@ss:w/rd %")
    with postgres("p@ss:w/rd %") as address:
        server = MlflowServer(tmp_path, address, names)
        try:
            server.start()
            answers = {
                host: answer(server.address, host)
                for host in ("mlflow:5000", "localhost:7000", "127.0.0.1:7", "elsewhere.example", "mlflow:81")
            }
        finally:
            server.kill()
    assert [*answers.values()] == [200, 200, 200, 403, 403], answers


def answer(address: str, host: str) -> int:
    """The status of a search for experiments under another name of the server."""
    path = "/api/2.0/mlflow/experiments/search?max_results=1"
    try:
        with urllib.request.urlopen(urllib.request.Request(address + path, headers={"Host": host})) as told:
            return int(told.status)
    except urllib.error.HTTPError as error:
        return error.code


@pytest.fixture
def remote() -> Iterator[str]:
    with s3("versions") as address:
        yield address


def test_artifacts_pushed_to_s3_are_whole_in_a_fresh_clone(remote: str, tmp_path: Path) -> None:
    folder, clone = tmp_path / "capflow", tmp_path / "clone"
    make_checkout(folder)
    settings = {"endpointurl": remote, "access_key_id": "test", "secret_access_key": "test"}
    run(folder, "dvc", "remote", "add", "--default", "store", "s3://versions/capflow")
    for name, value in settings.items():
        run(folder, "dvc", "remote", "modify", "store", name, value)
    run(folder, "git", "commit", "--all", "--quiet", "--message", "a remote")
    run(folder, "dvc", "push")
    run(tmp_path, "git", "clone", "--quiet", str(folder), str(clone))
    run(clone, "dvc", "pull")
    assert ran(run(clone, "dvc", "repro")) == []
    assert run(clone, "git", "status", "--porcelain") == ""
    (clone / "photo.jpg").write_bytes(jpeg(1))
    words = {path: run(path, *CAPFLOW, "caption", str(clone / "photo.jpg")) for path in (folder, clone)}
    assert words[clone] == words[folder]
    assert words[clone].strip()
