"""Downloads that are interrupted and killed end in the store of one that was left alone."""

import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from capflow import project
from capflow.data import manifest
from tests.faults.server import Fault, Server, serving
from tests.faults.store import stored
from tests.faults.work import CONNECTIONS, Kennel

KILLS = 50
# Small pieces: what a killed process leaves unread in its sockets was fetched in vain.
SLOW = Fault(chunk=2048, pause=0.008)


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


def start(kennel: Kennel, server: Server, grace: float = 5.0) -> int:
    return kennel.start(server.url, sorted(files(server)), grace)


def wait_until_asked(server: Server, kennel: Kennel, requests: int) -> None:
    deadline = time.monotonic() + 10
    while kennel.running() and len(server.asked) < requests and time.monotonic() < deadline:
        time.sleep(0.002)


def test_killed_fifty_times_every_byte_comes_about_once(slow: Server, kennel: Kennel) -> None:
    whole, draw, hits = files(slow), random.Random(5), 0
    for _ in range(KILLS):
        asked = len(slow.asked)
        process = start(kennel, slow)
        wait_until_asked(slow, kennel, asked + draw.randrange(CONNECTIONS))
        time.sleep(draw.uniform(0, 0.06))
        if kennel.running():
            os.kill(process, signal.SIGKILL)
        hits += kennel.exit_code() == -signal.SIGKILL
        for name, content in (stored() if project.downloads().exists() else {}).items():
            assert name.startswith(".") or content == whole[name]
    slow.always = Fault()
    start(kennel, slow)
    assert (kennel.exit_code(), stored()) == (0, whole)
    assert {(e.path, e.state, e.size) for e in manifest.read(project.downloads()).values()} == {
        (name, "done", len(content)) for name, content in whole.items()
    }
    assert sum(slow.sent.values()) <= 1.2 * sum(map(len, whole.values()))
    assert hits > KILLS / 2


@pytest.mark.parametrize("grace", [20.0, 0.1])
def test_row_17_ctrl_c_once_saves_and_exits_with_130(slow: Server, kennel: Kennel, grace: float) -> None:
    slow.faults["/large.bin"] = [Fault(cut=100)]
    process = start(kennel, slow, grace)
    wait_until_asked(slow, kennel, CONNECTIONS)
    os.kill(process, signal.SIGINT)
    assert kennel.exit_code() == 130
    asked = len(slow.asked)
    assert asked < 4 * CONNECTIONS
    assert not (project.downloads() / manifest.JOURNAL).exists()
    done = [entry.path for entry in manifest.read(project.downloads()).values() if entry.state == "done"]
    assert bool(done) == (grace > 1)
    _resumes(slow, kennel, asked, done)


def test_row_17_ctrl_c_twice_leaves_at_once(slow: Server, kennel: Kennel) -> None:
    process = start(kennel, slow, 60.0)
    wait_until_asked(slow, kennel, CONNECTIONS)
    os.kill(process, signal.SIGINT)
    time.sleep(0.1)
    begun = time.monotonic()
    os.kill(process, signal.SIGINT)
    assert (kennel.exit_code(), time.monotonic() - begun < 0.5) == (130, True)
    _resumes(slow, kennel, len(slow.asked), [])


def _resumes(slow: Server, kennel: Kennel, asked: int, done: list[str]) -> None:
    """The next run ends with everything, without asking for what was done or was there of the rest."""
    slow.always = Fault()
    start(kennel, slow)
    assert (kennel.exit_code(), stored()) == (0, files(slow))
    assert not {f"/{name}" for name in done} & set(slow.paths()[asked:])
    assert sum(slow.sent.values()) < 1.05 * sum(map(len, files(slow).values()))
