"""Downloads that are interrupted and killed end in the store of one that was left alone."""

import os
import random
import signal
import time
from collections.abc import Iterator
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

import pytest

from capflow import project
from capflow.data import manifest
from tests.faults.conftest import stored
from tests.faults.server import Fault, Server, serving
from tests.faults.work import CONNECTIONS, download

KILLS = 50
# Small pieces: what a killed process leaves unread in its sockets was fetched in vain.
SLOW = Fault(chunk=2048, pause=0.006)


@pytest.fixture
def slow(tmp_path_factory: pytest.TempPathFactory, checkout: Path) -> Iterator[Server]:
    """A slow server of 40 files of some 200 KB and one of 3 MB."""
    root, draw = tmp_path_factory.mktemp("slow"), random.Random(3)
    for number in range(40):
        (root / f"{number}.bin").write_bytes(draw.randbytes(draw.randrange(150_000, 250_000)))
    (root / "large.bin").write_bytes(draw.randbytes(3_000_000))
    with serving(root) as server:
        server.always = SLOW
        yield server


def files(server: Server) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in server.root.iterdir()}


def start(forkserver: ForkServerContext, server: Server, grace: float = 5.0) -> ForkServerProcess:
    process = forkserver.Process(target=download, args=(Path.cwd(), server.url, sorted(files(server)), grace))
    process.start()
    return process


def wait_until_asked(server: Server, process: ForkServerProcess, requests: int) -> None:
    deadline = time.monotonic() + 10
    while process.is_alive() and len(server.asked) < requests and time.monotonic() < deadline:
        time.sleep(0.002)


def test_killed_fifty_times_every_byte_comes_about_once(slow: Server, forkserver: ForkServerContext) -> None:
    whole, draw, hits = files(slow), random.Random(5), 0
    for _ in range(KILLS):
        asked = len(slow.asked)
        process = start(forkserver, slow)
        wait_until_asked(slow, process, asked + draw.randrange(CONNECTIONS))
        process.join(draw.uniform(0, 0.06))
        hits += process.is_alive()
        process.kill()
        process.join()
        for name, content in (stored() if project.downloads().exists() else {}).items():
            assert name.startswith(".") or content == whole[name]
    slow.always = Fault()
    process = start(forkserver, slow)
    process.join()
    assert process.exitcode == 0
    assert stored() == whole
    assert {(e.path, e.state, e.size) for e in manifest.read(project.downloads()).values()} == {
        (name, "done", len(content)) for name, content in whole.items()
    }
    wasted = sum(slow.sent.values()) / sum(map(len, whole.values()))
    assert wasted <= 1.2
    assert hits > KILLS / 2


@pytest.mark.parametrize("grace", [20.0, 0.1])
def test_row_17_ctrl_c_once_saves_and_exits_with_130(
    slow: Server, forkserver: ForkServerContext, grace: float
) -> None:
    slow.faults["/large.bin"] = [Fault(cut=100)]
    process = start(forkserver, slow, grace)
    wait_until_asked(slow, process, 8)
    os.kill(process.pid or 0, signal.SIGINT)
    process.join(30)
    assert process.exitcode == 130
    asked = len(slow.asked)
    assert asked < 20
    assert not (project.downloads() / manifest.JOURNAL).exists()
    done = [entry.path for entry in manifest.read(project.downloads()).values() if entry.state == "done"]
    assert bool(done) == (grace > 1)
    _resumes(slow, forkserver, asked, done)


def test_row_17_ctrl_c_twice_leaves_at_once(slow: Server, forkserver: ForkServerContext) -> None:
    process = start(forkserver, slow, 20.0)
    wait_until_asked(slow, process, 8)
    begun = time.monotonic()
    for _ in range(2):
        os.kill(process.pid or 0, signal.SIGINT)
        time.sleep(0.1)
    process.join(30)
    assert (process.exitcode, time.monotonic() - begun < 0.4) == (130, True)
    _resumes(slow, forkserver, len(slow.asked), [])


def _resumes(slow: Server, forkserver: ForkServerContext, asked: int, done: list[str]) -> None:
    slow.always = Fault()
    process = start(forkserver, slow)
    process.join(30)
    assert (process.exitcode, stored()) == (0, files(slow))
    again = slow.paths()[asked:]
    assert not {f"/{name}" for name in done} & set(again)
    assert sum(slow.sent.values()) < 1.05 * sum(map(len, files(slow).values()))
