"""Answers that come from somebody else than MLflow, and what MLflow itself refuses: nothing is lost."""

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from capflow import project
from capflow.params import Params, load_params
from capflow.record import journal as module
from capflow.record.journal import Journal, journals
from capflow.record.recorder import RunRecorder, training_run
from tests.checkout import ROOT

EXPERIMENT = {"experiment_id": "1", "name": "capflow", "lifecycle_stage": "active"}
RUN = {"info": {"run_id": "r1", "lifecycle_stage": "active"}, "data": {}}
ANSWERS = {
    "experiments/get-by-name": {"experiment": EXPERIMENT},
    "runs/search": {},
    "runs/create": {"run": RUN},
}


def proxy(path: str) -> tuple[int, bytes]:
    """Some things reach MLflow, the rest is a page that says 400."""
    for name, answer in ANSWERS.items():
        if name in path:
            return 200, json.dumps(answer).encode()
    return 400, b"<html>400 Bad Request</html>"


@contextmanager
def answering(answer: Callable[[str], tuple[int, bytes]]) -> Iterator[str]:
    """A server on loopback; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, content = answer(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_POST(self) -> None:
            self.do_GET()

        def do_PATCH(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def params(record: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    shutil.copy(record, tmp_path / "mlflow.db")
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.chdir(tmp_path)
    return load_params(ROOT / "params.yaml")


@pytest.mark.parametrize("answer", [proxy, lambda _: (200, b"{}"), lambda _: (400, b"<html></html>")])
def test_row_45_what_somebody_else_answers_is_no_refusal(
    answer: Callable[[str], tuple[int, bytes]],
    params: Params,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with answering(answer) as store:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
        for name in ("a" * 32, "b" * 32):
            with training_run(params, name) as recorder:
                recorder.log({"train_loss": 1.0}, 1)
    assert [journal.folder.name for journal in journals(project.record())] == ["a" * 32, "b" * 32]
    assert "refuses" not in caplog.text
    assert "cannot be used" in caplog.text


def test_row_45_what_mlflow_refuses_is_kept_here(params: Params, caplog: pytest.LogCaptureFixture) -> None:
    with training_run(params, "a" * 32) as recorder:
        recorder.tag("a" * 1000, "a name that is too long")
        recorder.log({"train_loss": 1.0}, 1)
    assert journals(project.record()) == []
    kept = Journal(project.store() / "refused" / ("a" * 32))
    assert f"it is left out, and kept in {kept.folder}" in caplog.text
    (line, *_) = kept.lines()
    assert line.entry["tags"] == {"a" * 1000: "a name that is too long"}
    assert "refusal" in line.entry


def test_row_34_a_journal_that_cannot_be_brought_to_the_disk_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where its lines were written a while ago, and nothing waits."""

    def fails(path: Path) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))

    (tmp_path / "dvc.yaml").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("capflow.record.recorder._INTERVAL", 0.0)
    recorder = RunRecorder(Journal(tmp_path / "journal"))
    recorder.flush()
    recorder.log({"train_loss": 1.0}, 1)
    monkeypatch.setattr(module, "sync", fails)
    for _ in range(2):
        with pytest.raises(OSError, match=r"Input/output error: '.*journal\.jsonl'"):
            recorder.flush()
    monkeypatch.undo()
    recorder.flush()
