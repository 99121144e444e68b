"""How much at a time: connections to a server, to several, and within the limit of open files."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from capflow import project
from capflow.data import crew, manifest
from capflow.data.download import fetch
from tests.faults.server import CONTENT, Fault, Server, serving
from tests.faults.store import request, stored

# Fetches files with a low limit; prints how many came, or the error.
LIMITED = """
import resource, sys
from capflow import project
from capflow.data.download import fetch
from capflow.data.request import Request
from capflow.errors import CapflowError
url, kind, limit, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
resource.setrlimit(getattr(resource, kind), (limit, limit))
names = [f"{number}.bin" for number in range(count)]
wanted = [Request(f"{url}/{name}", project.downloads() / name, lambda _: None, 1 << 20) for name in names]
try:
    print(count - len(fetch(wanted, "limited")))
except CapflowError as error:
    sys.exit(str(error))
"""


def limited(server: Server, kind: str, limit: int, count: int = 100) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", LIMITED, server.url, kind, str(limit), str(count)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def hundred(server: Server) -> Server:
    """A server of a hundred files that answers a little late, so that many are on their way at once."""
    for number in range(100):
        (server.root / f"{number}.bin").write_bytes(CONTENT + bytes([number]))
    server.always = Fault(chunk=8192, pause=0.005)
    return server


def test_few_open_files_mean_fewer_connections(hundred: Server) -> None:
    done = limited(hundred, "RLIMIT_NOFILE", 64)
    assert (done.returncode, done.stdout, done.stderr) == (0, "100\n", "")
    assert len(hundred.asked) == 100
    assert stored() == {path.name: path.read_bytes() for path in hundred.root.iterdir()}


def test_hardly_any_open_files_are_an_error(hundred: Server) -> None:
    done = limited(hundred, "RLIMIT_NOFILE", 34)
    assert done.returncode == 1
    assert done.stderr == (
        "at most 34 files may be open, which is too few for downloads; "
        "allow more, for instance with `ulimit -n 256`, then run again.\n"
    )
    assert (hundred.asked, stored()) == ([], {})


def test_a_file_that_cannot_be_written_whole_is_never_done(server: Server) -> None:
    done = limited(server, "RLIMIT_FSIZE", 10_000, count=1)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"{project.downloads()}: cannot be used ([Errno 27] File too large)")
    assert [entry.state for entry in manifest.read(project.downloads()).values()] == ["begun"]
    assert fetch([request(f"{server.url}/0.bin")], "with room") == []
    assert (stored(), server.sent["/0.bin"]) == ({"0.bin": CONTENT + b"\0"}, 2 * len(CONTENT) + 2 - 10_000)


def test_a_server_gets_more_connections_only_as_files_come(
    hundred: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Servers such as Python's let five connections wait, and further ones lose seconds."""
    monkeypatch.setattr(crew, "ATTEMPTS", 1)
    wanted = [request(f"{hundred.url}/{number}.bin") for number in range(100)]
    hundred.always = Fault(cut=5000, chunk=5000, pause=0.05)
    assert len(fetch(wanted, "none comes")) == 100
    assert hundred.most == 16
    hundred.always = Fault(chunk=8192, pause=0.05)
    assert fetch(wanted, "all come") == []
    assert 16 < hundred.most <= crew.CONNECTIONS


@pytest.fixture
def three(hundred: Server) -> Iterator[list[Server]]:
    """Three servers of the same files."""
    with serving(hundred.root) as second, serving(hundred.root) as third:
        second.always = third.always = Fault(chunk=8192, pause=0.01)
        yield [hundred, second, third]


def test_the_limit_is_one_of_each_server(three: list[Server], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew, "CONNECTIONS", 3)
    first, second, _ = three
    wanted = [request(f"{(first, second)[number % 2].url}/{number}.bin") for number in range(30)]
    assert fetch(wanted, "two servers") == []
    assert (first.most, second.most) == (3, 3)


def test_the_limit_holds_where_redirects_meet(three: list[Server], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew, "CONNECTIONS", 3)
    *mirrors, common = three
    for mirror in mirrors:
        mirror.always = Fault(status=302, headers={"Location": f"{common.url}/0.bin"})
    allowed = frozenset({common.url.removeprefix("http://")})
    wanted = [request(f"{mirrors[number % 2].url}/{number}.bin", hosts=allowed) for number in range(30)]
    assert fetch(wanted, "redirected") == []
    assert common.most == 3
