"""What answers mean: which are final, and which of them are not believed."""

import logging
from pathlib import Path

import pytest

from capflow import project
from capflow.data import manifest
from capflow.data.download import fetch
from capflow.data.install import Installer
from capflow.errors import CapflowError
from tests.faults.server import CONTENT, Fault, Server
from tests.faults.store import request, stored

WHOLE = len(CONTENT) + 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 407, 410, 414, 451])
def test_row_09_what_the_server_holds_to_be_wrong_is_final(server: Server, status: int) -> None:
    server.always = Fault(status=status)
    (failure,) = fetch([request(f"{server.url}/0.bin")], "refused")
    assert failure.absent == (status in {404, 410})
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [304, 408, 421, 425, 429, 500, 502, 503, 504])
def test_what_may_pass_is_asked_for_again(server: Server, status: int) -> None:
    server.faults["/0.bin"] = [Fault(status=status)]
    assert fetch([request(f"{server.url}/0.bin")], "for a while") == []
    assert len(server.asked) == 2


def test_row_05_a_part_of_unknown_whole_length_is_not_taken_for_all(server: Server) -> None:
    some = {"Content-Range": "bytes 5000-8999/*", "Content-Length": "4000"}
    server.faults["/0.bin"] = [Fault(chunked=True, cut=5000), Fault(headers=some, cut=4000)]
    assert fetch([request(f"{server.url}/0.bin", lambda _: None)], "some") == []
    assert [asked for _, asked in server.asked] == [None, "bytes=5000-", None]
    assert stored() == {"0.bin": CONTENT + b"\0"}


def test_row_05_a_part_whose_whole_length_is_known_may_leave_it_open(server: Server) -> None:
    rest = {"Content-Range": f"bytes 5000-{WHOLE - 1}/*"}
    server.faults["/0.bin"] = [Fault(cut=5000), Fault(headers=rest)]
    assert fetch([request(f"{server.url}/0.bin")], "rest") == []
    assert (stored(), server.sent["/0.bin"]) == ({"0.bin": CONTENT + b"\0"}, WHOLE)


@pytest.mark.parametrize(
    "short", [Fault(headers={"Content-Length": None}, cut=5000), Fault(body=CONTENT[:5000], chunked=True)]
)
def test_row_11_a_size_that_only_the_end_shows_is_named(server: Server, short: Fault) -> None:
    server.faults["/0.bin"] = [short] * 2
    (failure,) = fetch([request(f"{server.url}/0.bin", lambda _: None, size=WHOLE)], "short")
    assert failure.reason == f"5,000 bytes came instead of {WHOLE:,}"
    assert (len(server.asked), stored()) == (2, {})
    assert fetch([request(f"{server.url}/0.bin", lambda _: None, size=WHOLE)], "again") == []


@pytest.mark.parametrize("damage", [b"short", b"x" * WHOLE])
def test_what_has_not_changed_there_but_here_comes_again(server: Server, damage: bytes) -> None:
    asked = request(f"{server.url}/0.bin", lambda _: None, edition="one")
    assert fetch([asked], "first") == []
    asked.target.write_bytes(damage)
    assert fetch([asked._replace(edition="two")], "second") == []
    assert stored() == {"0.bin": CONTENT + b"\0"}


def test_what_is_wrong_there_is_not_fetched_for_ever(server: Server) -> None:
    asked = request(f"{server.url}/0.bin", lambda _: None, edition="one")
    assert fetch([asked], "first") == []
    (failure,) = fetch([asked._replace(edition="two", fault=lambda _: "its MD5 is another")], "second")
    assert failure.reason == "the server says that its file has not changed, but its MD5 is another"
    assert server.sent["/0.bin"] == WHOLE


def test_when_the_store_fails_everything_stops_in_order(
    server: Server, checkout: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server.always = Fault(chunk=1000, pause=0.02)
    project.downloads().mkdir(parents=True)
    (project.downloads() / ".1.bin.part").mkdir()
    with (
        caplog.at_level(logging.DEBUG),
        pytest.raises(CapflowError, match=r"cannot be used .*\.1\.bin\.part.*move the folder"),
    ):
        fetch([request(f"{server.url}/{number}.bin") for number in range(3)], "some")
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert {entry.state for entry in manifest.read(project.downloads()).values()} <= {"begun"}
    server.always = Fault()
    assert fetch([request(f"{server.url}/{number}.bin") for number in (0, 2)], "again") == []


def test_a_folder_in_the_place_of_a_file_is_named(server: Server) -> None:
    asked = request(f"{server.url}/0.bin")
    asked.target.mkdir(parents=True)
    with pytest.raises(
        CapflowError, match=r"0\.bin'\); move the folder that is in a file's place away, then"
    ):
        fetch([asked], "some")


def test_row_11_a_malformed_answer_is_named_on_one_line(server: Server) -> None:
    server.always = Fault(headers={"content-length": "7"})
    (failure,) = fetch([request(f"{server.url}/0.bin")], "malformed")
    assert failure.reason == "a malformed answer (Duplicate Content-Length)"


@pytest.mark.parametrize("form", ["{}", "http://{}", "http://me:secret@{}"])
def test_a_proxy_needs_no_scheme(server: Server, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("http_proxy", form.format(server.url.removeprefix("http://")))
    assert [failure.reason for failure in fetch([request("http://a.invalid/0.bin")], "proxy")] == [
        "HTTP 404 Not Found"
    ]
    assert server.paths() == ["http://a.invalid/0.bin"]


@pytest.mark.parametrize("proxy", ["[::1", "http://", "socks5://127.0.0.1:9", "http://a:port"])
def test_a_proxy_that_is_none_is_named(server: Server, monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("http_proxy", proxy)
    (failure,) = fetch([request(f"{server.url}/0.bin")], "no proxy")
    assert failure.reason == "http_proxy of the environment is no address of an HTTP proxy"


def test_too_many_open_files_are_named(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def crowded(*_: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(Installer, "install", crowded)
    with pytest.raises(CapflowError, match=r"Too many open files\); allow more open files \(`ulimit -n`\)"):
        fetch([request(f"{server.url}/0.bin")], "crowded")
