"""What may go wrong with the network and the server while a file comes; rows 2 to 6."""

import logging
import threading
import time

import pytest
from filelock import FileLock

from capflow import project
from capflow.data import crew
from capflow.data.download import fetch
from tests.faults.server import CONTENT, Fault, Server
from tests.faults.store import request, stored

WHOLE = len(CONTENT) + 1


def test_row_02_after_an_outage_exactly_the_missing_is_fetched(server: Server) -> None:
    requests = [request(f"{server.url}/{number}.bin") for number in range(5)]
    for number in (1, 3):
        server.faults[f"/{number}.bin"] = [Fault(status=503)] * crew.ATTEMPTS
    failures = fetch(requests, "outage")
    assert [failure.request for failure in failures] == [requests[1], requests[3]]
    asked = len(server.asked)
    assert fetch(requests, "again") == []
    assert sorted(server.paths()[asked:]) == ["/1.bin", "/3.bin"]


@pytest.mark.parametrize("etag", ['"1"', None])
def test_row_03_a_cut_body_is_continued(server: Server, etag: str | None) -> None:
    server.etag = etag
    server.faults["/0.bin"] = [Fault(cut=5000), Fault(cut=4000)]
    assert fetch([request(f"{server.url}/0.bin")], "cut") == []
    assert [asked for _, asked in server.asked] == [None, "bytes=5000-", "bytes=9000-"]
    assert stored() == {"0.bin": CONTENT + b"\0"}
    assert server.sent["/0.bin"] == WHOLE


def test_row_03_a_cut_body_is_continued_by_the_next_run(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew, "ATTEMPTS", 1)
    server.faults["/0.bin"] = [Fault(cut=5000), Fault(cut=4000)]
    for _ in range(2):
        (failure,) = fetch([request(f"{server.url}/0.bin")], "cut")
        assert "the connection broke off after" in failure.reason
        assert not failure.request.target.exists()
    assert fetch([request(f"{server.url}/0.bin")], "last") == []
    assert (stored(), server.sent["/0.bin"]) == ({"0.bin": CONTENT + b"\0"}, WHOLE)


@pytest.mark.parametrize("etag", ['W/"1"', "date of this second"])
def test_row_03_a_weak_version_is_not_continued(server: Server, etag: str) -> None:
    server.etag = etag if '"' in etag else None
    server.changed = time.time() + 1
    server.faults["/0.bin"] = [Fault(cut=5000)]
    assert fetch([request(f"{server.url}/0.bin")], "cut") == []
    assert [asked for _, asked in server.asked] == [None, None]
    assert stored() == {"0.bin": CONTENT + b"\0"}


@pytest.mark.parametrize("headers", [{}, {"Last-Modified": None}])
def test_row_03_the_date_need_not_be_stated_again(server: Server, headers: dict[str, None]) -> None:
    server.etag = None
    server.faults["/0.bin"] = [Fault(cut=5000), Fault(headers=headers)]
    assert fetch([request(f"{server.url}/0.bin")], "cut") == []
    assert (stored(), server.sent["/0.bin"]) == ({"0.bin": CONTENT + b"\0"}, WHOLE)


@pytest.mark.parametrize("etag", ["1", '"1', '"caf\xe9"', "W/1"])
def test_row_03_the_date_counts_where_the_etag_is_none(server: Server, etag: str) -> None:
    server.etag, server.always = None, Fault(headers={"ETag": etag})
    server.faults["/0.bin"] = [Fault(cut=5000, headers={"ETag": etag})]
    assert fetch([request(f"{server.url}/0.bin")], "cut") == []
    assert [asked for _, asked in server.asked] == [None, "bytes=5000-"]
    assert (stored(), server.sent["/0.bin"]) == ({"0.bin": CONTENT + b"\0"}, WHOLE)


def test_row_04_range_ignored_starts_from_the_beginning(server: Server) -> None:
    server.faults["/0.bin"] = [Fault(cut=5000), Fault(whole=True)]
    assert fetch([request(f"{server.url}/0.bin")], "whole") == []
    assert [asked for _, asked in server.asked] == [None, "bytes=5000-"]
    assert stored() == {"0.bin": CONTENT + b"\0"}


@pytest.mark.parametrize(
    "lie",
    [
        Fault(shift=7),
        Fault(headers={"Content-Range": f"bytes 4999-{WHOLE - 1}/{WHOLE}"}),
        Fault(headers={"Content-Range": f"bytes 5000-{WHOLE}/{WHOLE + 1}"}),
        Fault(headers={"Content-Range": None}),
        Fault(headers={"ETag": '"2"'}),
        Fault(headers={"ETag": None}),
    ],
)
def test_row_05_a_wrong_part_is_fetched_again(server: Server, lie: Fault) -> None:
    server.faults["/0.bin"] = [Fault(cut=5000), lie]
    assert fetch([request(f"{server.url}/0.bin")], "offset") == []
    assert [asked for _, asked in server.asked] == [None, "bytes=5000-", None]
    assert stored() == {"0.bin": CONTENT + b"\0"}


@pytest.mark.parametrize("etag", ['"1"', None])
def test_row_06_a_changed_object_is_never_mixed(
    server: Server, monkeypatch: pytest.MonkeyPatch, etag: str | None
) -> None:
    monkeypatch.setattr(crew, "ATTEMPTS", 1)
    server.etag = etag
    server.faults["/0.bin"] = [Fault(cut=5000)]
    assert len(fetch([request(f"{server.url}/0.bin", lambda _: None)], "old")) == 1
    (server.root / "0.bin").write_bytes(b"new" * 4000)
    server.etag, server.changed = etag and '"2"', server.changed + 9
    assert fetch([request(f"{server.url}/0.bin", lambda _: None)], "new") == []
    assert stored() == {"0.bin": b"new" * 4000}


@pytest.mark.parametrize("etag", ['"1"', None])
def test_row_06_a_server_that_does_not_heed_if_range(
    server: Server, monkeypatch: pytest.MonkeyPatch, etag: str | None
) -> None:
    monkeypatch.setattr(crew, "ATTEMPTS", 1)
    server.etag = etag
    server.faults["/0.bin"] = [Fault(cut=5000)]
    assert len(fetch([request(f"{server.url}/0.bin", lambda _: None)], "old")) == 1
    (server.root / "0.bin").write_bytes(b"n" * WHOLE)
    server.etag, server.changed = etag and '"2"', server.changed + 9
    monkeypatch.setattr(crew, "ATTEMPTS", 2)
    server.faults["/0.bin"] = [Fault(heedless=True)]
    assert fetch([request(f"{server.url}/0.bin", lambda _: None)], "new") == []
    assert stored() == {"0.bin": b"n" * WHOLE}


def test_row_06_an_old_file_is_never_taken_for_the_new_one(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew, "ATTEMPTS", 1)
    url = f"{server.url}/0.bin"
    assert fetch([request(url, lambda _: None, edition="old")], "old") == []
    (server.root / "0.bin").write_bytes(b"new" * 4000)
    server.etag = '"2"'
    server.faults["/0.bin"] = [Fault(cut=5000)]
    assert len(fetch([request(url, lambda _: None, edition="new")], "cut")) == 1
    (project.downloads() / ".0.bin.part").unlink()
    assert fetch([request(url, lambda _: None, edition="new")], "new") == []
    assert stored() == {"0.bin": b"new" * 4000}


def test_a_second_process_says_that_it_waits(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    held = threading.Event()

    def hold() -> None:
        with FileLock(project.store() / "downloads.lock"):
            held.set()
            time.sleep(0.3)

    other = threading.Thread(target=hold)
    other.start()
    held.wait()
    with caplog.at_level(logging.INFO):
        assert fetch([request(f"{server.url}/0.bin")], "second") == []
    other.join()
    assert "another process is downloading; waiting for it to end" in caplog.text
