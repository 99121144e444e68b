"""Servers that do not answer, answer slowly, or ask for patience; rows 1, 7 and 8."""

import datetime
import random
import socket
import time
from email.utils import format_datetime
from pathlib import Path
from typing import NoReturn

import pytest

from capflow import project
from capflow.data import crew, manifest, transfer
from capflow.data.download import fetch
from tests.faults.server import CONTENT, Fault, Server
from tests.faults.store import request, stored
from tests.stage_processes import choose_coco, stage

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


def test_row_01_a_dead_server_does_not_cost_the_files_of_another(server: Server) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        lost = [request(f"{dead}/x{number}.bin") for number in range(200)]
        wanted = [request(f"{server.url}/{number}.bin") for number in range(5)]
        failures = fetch([*lost, *wanted], "half dead")
    assert [failure.request for failure in failures] == lost
    assert len(server.asked) == 5


@pytest.mark.parametrize("where", ["a port that nobody listens at", "a host that does not exist"])
def test_row_01_the_stage_ends_with_one_sentence(checkout: Path, where: str) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        mirror = f"http://127.0.0.1:{port}" if "port" in where else "http://no-such-host.invalid"
        choose_coco(checkout, mirror)
        done = stage("download_annotations")
    sentence = f"error: {mirror}/annotations/annotations_trainval2014.zip: Cannot connect to host"
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith(sentence)
    assert "check the network and `mirror` of the data set, then run again" in done.stderr
    assert {entry.state for entry in manifest.read(project.downloads()).values()} == {"failed"}
    assert {path.name for path in project.downloads().iterdir() if path.is_file()} == {manifest.TABLE}
    assert not project.ANNOTATIONS.exists()


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


@pytest.mark.parametrize("chunked", [False, True])
def test_row_07_a_transfer_has_a_deadline_as_a_whole(
    server: Server, monkeypatch: pytest.MonkeyPatch, chunked: bool
) -> None:
    monkeypatch.setattr(transfer, "_ALLOWED", 0.2)
    monkeypatch.setattr(transfer, "_SLOWEST", 1 << 20)
    monkeypatch.setattr(crew, "ATTEMPTS", 2)
    slow = Fault(chunk=1000, pause=0.05, chunked=chunked)  # twenty times the lowest speed
    server.faults["/0.bin"] = [slow] * 2
    (failure,) = fetch([request(f"{server.url}/0.bin")], "slow")
    assert failure.reason.startswith("too long: ")
    assert fetch([request(f"{server.url}/0.bin")], "the rest") == []
    assert server.sent["/0.bin"] < 1.2 * WHOLE


def test_row_07_the_deadline_grows_with_the_size(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "_ALLOWED", 0.0)
    monkeypatch.setattr(transfer, "_SLOWEST", WHOLE)
    server.faults["/0.bin"] = [Fault(chunk=4000, pause=0.05)]
    assert fetch([request(f"{server.url}/0.bin")], "in time") == []
    assert len(server.asked) == 1


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
