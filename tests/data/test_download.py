import pytest

from capflow import project
from capflow.cli.fetching import status
from capflow.data.download import fetch
from tests.faults.server import CONTENT, Fault, Server
from tests.faults.store import request


def test_fetches_many_once(server: Server) -> None:
    requests = [request(f"{server.url}/{number}.bin") for number in range(5)]
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
    assert fetch([request(f"{server.url}/0.bin", edition="one")], "first") == []
    assert fetch([request(f"{server.url}/0.bin", edition="one")], "the same") == []
    assert len(server.asked) == 1
    assert fetch([request(f"{server.url}/0.bin", edition=edition)], "unchanged") == []
    assert (len(server.asked), server.sent["/0.bin"]) == (2, len(CONTENT) + 1)
    (server.root / "0.bin").write_bytes(CONTENT + b"new")
    server.etag, server.changed = etag and etag.replace("1", "2"), server.changed + 5
    assert fetch([request(f"{server.url}/0.bin", edition="third")], "changed") == []
    assert (project.downloads() / "0.bin").read_bytes() == CONTENT + b"new"


def test_an_old_file_stays_while_its_server_is_away(server: Server) -> None:
    fetch([request(f"{server.url}/0.bin", edition="one")], "first")
    (server.root / "0.bin").unlink()
    (failure,) = fetch([request(f"{server.url}/0.bin", edition="two")], "second")
    assert failure.absent
    assert (project.downloads() / "0.bin").read_bytes() == CONTENT + b"\0"


def test_takes_up_files_that_are_not_recorded(server: Server) -> None:
    fetch([request(f"{server.url}/0.bin")], "first")
    (project.downloads() / "manifest.parquet").unlink()
    assert fetch([request(f"{server.url}/0.bin")], "second") == []
    assert len(server.asked) == 1


def test_status_says_where_all_are(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    fetch([request(f"{server.url}/{number}.none") for number in range(12)], "none")
    status()
    said = "and 2 more; all are in manifest.parquet and, while a download runs, manifest.journal\n"
    assert capsys.readouterr().out.endswith(said)


def test_status_counts_and_names(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    server.faults["/1.bin"] = [Fault(status=403)]
    fetch([request(f"{server.url}/{number}.bin") for number in range(3)], "some")
    status()
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["server", "done", "begun", "missing", "failed", "GB"]
    assert "       1  HTTP 403 Forbidden" in rows
    assert "failed    1.bin" in rows
    assert any(row.split()[:5] == ["0.bin", "1", "0", "0", "0"] for row in rows)
