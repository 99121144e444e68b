"""What may go wrong with the network and the server while a file comes; rows 1 to 8."""

import datetime
import logging
import random
import socket
import threading
import time
from email.utils import format_datetime
from pathlib import Path
from typing import NoReturn

import pytest
from filelock import FileLock

from capflow import project
from capflow.data import crew, manifest, transfer
from capflow.data.download import fetch
from tests.faults.conftest import CONTENT, request, stored
from tests.faults.server import Fault, Server

WHOLE = len(CONTENT) + 1


def _unknown(*_: object, **__: object) -> NoReturn:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


def test_row_01_connection_refused_and_unknown_host(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    def shortest(_: float, longest: float) -> float:
        pauses.append(longest)
        return 0.0

    monkeypatch.setattr(random, "uniform", shortest)
    monkeypatch.setattr(socket, "getaddrinfo", _unknown)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        refused = f"http://127.0.0.1:{nobody.getsockname()[1]}/0.bin"
        failures = fetch([request(refused), request("http://no-such-host.invalid/1.bin")], "dead")
    assert [failure.absent for failure in failures] == [False, False]
    assert "Cannot connect to host 127.0.0.1" in failures[0].reason
    assert "Cannot connect to host no-such-host.invalid" in failures[1].reason
    assert sorted(pauses) == [0.5, 0.5, 1, 1, 2, 2, 4, 4]
    assert stored() == {}
    entries = manifest.read(project.downloads())
    assert {entry.state for entry in entries.values()} == {"failed"}
    assert "127.0.0.1" in entries["0.bin"].reason


def test_row_01_a_dead_server_is_not_asked_for_everything(checkout: Path) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        failures = fetch([request(f"{dead}/{number}.bin") for number in range(300)], "dead")
    assert len(failures) == 300
    assert "not tried" in failures[-1].reason


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


def test_row_07_a_stall_ends_at_the_read_deadline(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "_SILENCE", 0.2)
    server.faults["/0.bin"] = [Fault(chunk=5000, pause=2.0)]
    start = time.monotonic()
    assert fetch([request(f"{server.url}/0.bin")], "stall") == []
    assert time.monotonic() - start < 2
    assert [asked for _, asked in server.asked] == [None, "bytes=5000-"]


def test_row_07_a_trickle_ends_at_the_lowest_speed(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "_WINDOW", 0.3)
    monkeypatch.setattr(crew, "ATTEMPTS", 2)
    server.faults["/0.bin"] = [Fault(chunk=1, pause=0.05)] * 2
    (failure,) = fetch([request(f"{server.url}/0.bin")], "trickle")
    assert failure.reason.startswith("too slow: ")
    server.faults["/1.bin"] = [Fault(chunk=1, pause=0.05)]
    assert fetch([request(f"{server.url}/1.bin")], "once") == []


def test_row_07_an_answer_that_never_begins(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "_ANSWER", 0.1)
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        url = f"http://127.0.0.1:{mute.getsockname()[1]}/0.bin"
        (failure,) = fetch([request(url)], "mute")
    assert failure.reason == "no answer in time"


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("form", ["seconds", "date"])
def test_row_08_retry_after_is_honoured(
    server: Server, monkeypatch: pytest.MonkeyPatch, status: int, form: str
) -> None:
    monkeypatch.setattr(crew, "_PAUSE", 30.0)
    # A date has whole seconds: two of them are between one and two from now.
    wanted = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=2)
    value = "1" if form == "seconds" else format_datetime(wanted, usegmt=True)
    server.faults["/0.bin"] = [Fault(status=status, headers={"Retry-After": value})]
    start = time.monotonic()
    assert fetch([request(f"{server.url}/0.bin")], "busy") == []
    assert 0.9 < time.monotonic() - start < 3


def test_row_08_retry_after_is_capped(server: Server) -> None:
    server.faults["/0.bin"] = [Fault(status=503, headers={"Retry-After": "86400"})]
    start = time.monotonic()
    assert fetch([request(f"{server.url}/0.bin")], "busy") == []
    assert time.monotonic() - start < 2


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
