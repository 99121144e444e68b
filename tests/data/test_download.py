from collections.abc import Iterator
from pathlib import Path

import pytest

from capflow.data import download
from capflow.data.download import Request, fetch
from tests.data.server import Server, serving

CONTENT = bytes(range(256)) * 64


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory, checkout: Path) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("server")
    for number in range(5):
        (root / f"{number}.bin").write_bytes(CONTENT + bytes([number]))
    with serving(root) as server:
        yield server


def request(server: Server, name: str) -> Request:
    def fault(path: Path) -> str | None:
        return None if path.read_bytes().startswith(CONTENT) else "something else came"

    return Request(f"{server.url}/{name}", Path("store") / name, fault)


def test_fetches_many_once(server: Server) -> None:
    requests = [request(server, f"{number}.bin") for number in range(5)]
    assert fetch(requests, "all") == []
    assert [r.target.read_bytes()[-1] for r in requests] == list(range(5))
    assert fetch(requests, "all") == []
    assert len(server.asked) == 5
    assert sorted(path.name for path in Path("store").iterdir()) == [f"{n}.bin" for n in range(5)]


def test_what_is_not_there_is_asked_for_once(server: Server) -> None:
    server.faults["/1.bin"] = [403]
    failures = fetch([request(server, name) for name in ("no.bin", "0.bin", "1.bin")], "some")
    assert [(f.request.target.name, f.absent) for f in failures] == [("no.bin", True), ("1.bin", True)]
    assert failures[0].reason == "HTTP 404 Not Found"
    assert len(server.asked) == 3


@pytest.mark.parametrize("passing", [503, 429, 500, "html", -100])
def test_tries_again_after_a_passing_failure(server: Server, passing: int | str) -> None:
    server.faults["/0.bin"] = [passing]
    assert fetch([request(server, "0.bin")], "one") == []
    assert Path("store/0.bin").read_bytes() == CONTENT + b"\0"


@pytest.mark.parametrize(
    ("fault", "attempts", "reason"),
    [("html", 2, "something else came"), (503, 5, "HTTP 503 Service Unavailable")],
)
def test_gives_up(server: Server, fault: int | str, attempts: int, reason: str) -> None:
    server.faults["/0.bin"] = [fault] * 9
    failures = fetch([request(server, "0.bin"), request(server, "1.bin")], "two")
    assert [(f.request.target.name, f.reason, f.absent) for f in failures] == [("0.bin", reason, False)]
    assert server.paths().count("/0.bin") == attempts
    assert [path.name for path in Path("store").iterdir()] == ["1.bin"]


def test_resumes_what_broke_off(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "_RESUMABLE", 1000)
    monkeypatch.setattr(download, "ATTEMPTS", 1)
    server.faults["/0.bin"] = [-5000, -4000]
    assert len(fetch([request(server, "0.bin")], "first run")) == 1
    assert len(fetch([request(server, "0.bin")], "second run")) == 1
    assert fetch([request(server, "0.bin")], "third run") == []
    assert [asked for _, asked in server.asked] == [None, "bytes=5000-", "bytes=9000-"]
    assert Path("store/0.bin").read_bytes() == CONTENT + b"\0"
    assert [path.name for path in Path("store").iterdir()] == ["0.bin"]


def test_does_not_mix_versions(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "_RESUMABLE", 1000)
    monkeypatch.setattr(download, "ATTEMPTS", 1)
    server.faults["/0.bin"] = [-5000]
    fetch([request(server, "0.bin")], "first run")
    server.etag = '"2"'
    (server.root / "0.bin").write_bytes(CONTENT + b"new")
    assert fetch([request(server, "0.bin")], "second run") == []
    assert Path("store/0.bin").read_bytes() == CONTENT + b"new"


def test_a_dead_server_ends_soon(server: Server) -> None:
    port = server.port
    with serving(server.root) as other:
        dead = f"http://127.0.0.1:{other.port}"
    assert port != other.port
    requests = [Request(f"{dead}/{n}.bin", Path(f"store/{n}"), lambda _: None) for n in range(100)]
    failures = fetch(requests, "all")
    assert [f.request for f in failures] == requests
    assert "Connect" in failures[0].reason
    assert "not tried" in failures[-1].reason
