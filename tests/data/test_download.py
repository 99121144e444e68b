from collections.abc import Iterator
from pathlib import Path

import pytest

from capflow import project
from capflow.cli import status
from capflow.data.download import fetch
from capflow.data.request import Request
from tests.faults.server import Fault, Server, serving

CONTENT = bytes(range(256)) * 64


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory, checkout: Path) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("server")
    for number in range(5):
        (root / f"{number}.bin").write_bytes(CONTENT + bytes([number]))
    with serving(root) as server:
        yield server


def request(server: Server, name: str, edition: str | None = "") -> Request:
    def fault(path: Path) -> str | None:
        return None if path.read_bytes().startswith(CONTENT) else "something else came"

    return Request(f"{server.url}/{name}", project.downloads() / name, fault, cap=1 << 20, edition=edition)


def test_fetches_many_once(server: Server) -> None:
    requests = [request(server, f"{number}.bin") for number in range(5)]
    assert fetch(requests, "all") == []
    assert [r.target.read_bytes()[-1] for r in requests] == list(range(5))
    assert fetch(requests, "all") == []
    assert len(server.asked) == 5
    names = {path.name for path in project.downloads().iterdir()}
    assert names == {*(f"{number}.bin" for number in range(5)), "manifest.parquet"}


@pytest.mark.parametrize("etag", ['"1"', 'W/"1"', None])
@pytest.mark.parametrize("edition", ["another", None])
def test_a_file_of_another_edition_comes_again_if_it_has_changed(
    server: Server, etag: str | None, edition: str | None
) -> None:
    server.etag = etag
    assert fetch([request(server, "0.bin", "one")], "first") == []
    assert fetch([request(server, "0.bin", "one")], "the same") == []
    assert len(server.asked) == 1
    assert fetch([request(server, "0.bin", edition)], "unchanged") == []
    assert (len(server.asked), server.sent["/0.bin"]) == (2, len(CONTENT) + 1)
    (server.root / "0.bin").write_bytes(CONTENT + b"new")
    server.etag, server.changed = etag and etag.replace("1", "2"), server.changed + 5
    assert fetch([request(server, "0.bin", "third")], "changed") == []
    assert (project.downloads() / "0.bin").read_bytes() == CONTENT + b"new"


def test_an_old_file_stays_while_its_server_is_away(server: Server) -> None:
    fetch([request(server, "0.bin", "one")], "first")
    (server.root / "0.bin").unlink()
    assert [failure.absent for failure in fetch([request(server, "0.bin", "two")], "second")] == [True]
    assert (project.downloads() / "0.bin").read_bytes() == CONTENT + b"\0"


def test_takes_up_files_that_are_not_recorded(server: Server) -> None:
    fetch([request(server, "0.bin")], "first")
    (project.downloads() / "manifest.parquet").unlink()
    assert fetch([request(server, "0.bin")], "second") == []
    assert len(server.asked) == 1


def test_status_counts_and_names(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    server.faults["/1.bin"] = [Fault(status=403)]
    fetch([request(server, f"{number}.bin") for number in range(3)], "some")
    status()
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["server", "done", "begun", "missing", "failed", "GB"]
    assert "       1  HTTP 403 Forbidden" in rows
    assert "failed    1.bin" in rows
    assert any(row.split()[:5] == ["0.bin", "1", "0", "0", "0"] for row in rows)
