"""Stages that torchrun starts: a rank that is killed, signals, machines that lose each other.

The command is the stage's own; PET_* variables, which are torchrun's, say how many processes there are.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml

from tests.checkout import ROOT, environment
from tests.faults.trainings import checkpoints, lay_out, recorded, results, wait_until
from tests.training.test_together import numbers

pytestmark = pytest.mark.slow
TIMEOUT = 10


def prepare(folder: Path, record: Path, dropout: float = 0.3) -> Path:
    """A training of some seconds."""
    folder.mkdir(exist_ok=True)
    lay_out(folder, record, epochs=15, lr=0.0001, scheduled_sampling=0.0)
    chosen = yaml.safe_load((folder / "params.yaml").read_text())
    chosen["decoder"]["dropout"] = dropout
    (folder / "params.yaml").write_text(yaml.safe_dump(chosen))
    return folder


def start(folder: Path, *before: str, **variables: str) -> "subprocess.Popen[bytes]":
    """The stage as DVC runs it, on two processes; what is said is in said.txt."""
    several = {"PET_NPROC_PER_NODE": "2", "CAPFLOW_TIMEOUT": str(TIMEOUT)}
    paths = {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    with (folder / "said.txt").open("ab") as stream:
        return subprocess.Popen(
            [*before, sys.executable, "-m", "stages.train"],
            cwd=folder,
            env=environment() | several | paths | variables,
            stderr=stream,
        )


def finished(folder: Path, **variables: str) -> None:
    process = start(folder, **variables)
    assert process.wait(300) == 0, said(folder)


def said(folder: Path) -> str:
    return (folder / "said.txt").read_text()


def ranks(folder: Path) -> dict[int, int]:
    """The processes at work in a folder, by rank."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (entry / "cwd").resolve() == folder and (
                number := re.search(rb"(?:^|\0)RANK=(\d+)", (entry / "environ").read_bytes())
            ):
                found[int(number[1])] = int(entry.name)
    return found


def queued(process: int) -> float:
    """For how many seconds a process could have run and did not: that of its threads which waited longest."""
    threads = Path(f"/proc/{process}/task").iterdir()
    return max(int((thread / "schedstat").read_text().split()[1]) for thread in threads) / 1e9


def ended(folder: Path, agents: "list[subprocess.Popen[bytes]]") -> float:
    """Wait for the end of all agents; the seconds until then that were their own and their ranks'.

    Programs that share their cores with others take longer to end: for a processor they have waited, of the
    agents that which waited longest, and of the ranks.
    """
    began = time.monotonic()
    kinds = [[agent.pid for agent in agents], [*ranks(folder).values()]]
    before = {process: queued(process) for kind in kinds for process in kind}
    after = dict(before)
    while None in [agent.poll() for agent in agents]:
        assert time.monotonic() - began < 120, said(folder)
        for process in before:
            with contextlib.suppress(OSError, ValueError):  # it has ended
                after[process] = queued(process)
        time.sleep(0.1)
    lasted = time.monotonic() - began
    return lasted - sum(max(after[process] - before[process] for process in kind) for kind in kinds)


def at_work(folder: Path, count: int = 1) -> None:
    """Wait until a training has as many checkpoints."""
    wait_until(lambda: checkpoints(folder) and int(checkpoints(folder)[-1].name[:8]) >= count)


@pytest.fixture(scope="module")
def whole(record: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training by two processes that was left alone."""
    folder = prepare(tmp_path_factory.mktemp("whole"), record)
    finished(folder)
    return folder


def assert_alike(folder: Path, whole: Path) -> None:
    assert results(folder) == results(whole)
    [(status, found)], [(_, expected)] = recorded(folder), recorded(whole)
    assert (status, found) == ("FINISHED", expected)
    assert list((folder / ".capflow/checkpoints").iterdir()) == []


@pytest.mark.parametrize("rank", [0, 1])
def test_row_43_a_rank_is_killed_and_all_go_on_from_the_checkpoint(
    rank: int, record: Path, whole: Path, tmp_path: Path
) -> None:
    folder = prepare(tmp_path, record)
    process = start(folder, PET_MAX_RESTARTS="1")
    at_work(folder)
    os.kill(ranks(folder)[rank], signal.SIGKILL)
    assert process.wait(300) == 0, said(folder)
    assert "going on after step" in said(folder)
    assert_alike(folder, whole)


def test_row_43_without_restarts_all_end_and_the_same_command_goes_on(
    record: Path, whole: Path, tmp_path: Path
) -> None:
    folder = prepare(tmp_path, record)
    process = start(folder)
    at_work(folder)
    killed = ranks(folder)
    os.kill(killed[1], signal.SIGKILL)
    assert ended(folder, [process]) < TIMEOUT + 5
    assert process.returncode == 1
    assert not ranks(folder)
    assert "error: process 1 was ended by SIGKILL" in said(folder)
    assert "Traceback" not in said(folder)
    finished(folder)
    assert_alike(folder, whole)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_all_with_a_checkpoint_and_the_same_command_goes_on(
    number: signal.Signals, code: int, record: Path, whole: Path, tmp_path: Path
) -> None:
    folder = prepare(tmp_path, record)
    process = start(folder)
    at_work(folder)
    process.send_signal(number)
    assert process.wait(60) == code, said(folder)
    assert f"{number.name}: stopped after step" in said(folder)
    assert "Traceback" not in said(folder)
    assert [status for status, _ in recorded(folder)] == ["KILLED"]
    assert not ranks(folder)
    finished(folder)
    assert_alike(folder, whole)


def test_row_30_ctrl_c_twice_leaves_at_once_whatever_one_waits_for(record: Path, tmp_path: Path) -> None:
    folder = prepare(tmp_path, record)
    process = start(folder)
    at_work(folder)
    os.kill(ranks(folder)[1], signal.SIGSTOP)
    process.send_signal(signal.SIGINT)
    time.sleep(1)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130, said(folder)
    assert time.monotonic() - began < 5
    assert not ranks(folder)
    assert "Traceback" not in said(folder)


def test_row_39_what_two_began_one_goes_on_with(record: Path, tmp_path: Path) -> None:
    """Without dropout, which each process draws for itself."""
    alone = prepare(tmp_path / "alone", record, dropout=0.0)
    finished(alone, PET_NPROC_PER_NODE="1")
    folder = prepare(tmp_path / "both", record, dropout=0.0)
    process = start(folder)
    at_work(folder)
    process.terminate()
    assert process.wait(60) == 143, said(folder)
    finished(folder, PET_NPROC_PER_NODE="1")
    assert "going on after step" in said(folder)
    for name in ("train_steps.csv", "train_epochs.csv"):
        one, other = (numbers(each / "metrics" / name) for each in (alone, folder))
        np.testing.assert_allclose(other[:, :4], one[:, :4], atol=1e-3, rtol=0)


class Wire:
    """Two network namespaces, joined by a wire that can be cut."""

    def __init__(self, name: str) -> None:
        self.names = [f"{name}{end}" for end in "ab"]
        ends = [f"v{name}" for name in self.names]
        for namespace in self.names:
            ip("netns", "add", namespace)
            ip("-n", namespace, "link", "set", "lo", "up")
        ip("link", "add", ends[0], "type", "veth", "peer", "name", ends[1])
        for number, (namespace, end) in enumerate(zip(self.names, ends, strict=True), 1):
            ip("link", "set", end, "netns", namespace)
            ip("-n", namespace, "addr", "add", f"10.231.77.{number}/24", "dev", end)
            ip("-n", namespace, "link", "set", end, "up")

    def set(self, state: str) -> None:
        """Cut the wire (down) or join it again (up)."""
        ip("-n", self.names[1], "link", "set", f"v{self.names[1]}", state)

    def start(self, folder: Path) -> "list[subprocess.Popen[bytes]]":
        """The stage on both machines, which share the folder; a process each."""
        return [
            start(
                folder,
                *("ip", "netns", "exec", namespace),
                PET_NPROC_PER_NODE="1",
                PET_NNODES="2",
                OMP_NUM_THREADS="1",  # as two on one machine of two cores: sums are made in the same order
                PET_RDZV_BACKEND="c10d",
                PET_RDZV_ENDPOINT="10.231.77.1:29517",
                PET_RDZV_ID="capflow",
                PET_RDZV_CONF=f"is_host={2 - number}",  # both have the host's name here
                PET_LOCAL_ADDR=f"10.231.77.{number}",
                GLOO_SOCKET_IFNAME=f"v{namespace}",
            )
            for number, namespace in enumerate(self.names, 1)
        ]

    def close(self) -> None:
        for namespace in self.names:
            subprocess.run(["ip", "netns", "del", namespace], check=False)


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


@pytest.fixture
def wire() -> Iterator[Wire]:
    """Two machines of a kind; where this process may not have them, the test is skipped."""
    if not shutil.which("ip"):
        pytest.skip("there is no program `ip` to make network namespaces with")
    try:
        wire = Wire(f"cf{os.getpid() % 100000}")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"network namespaces are not permitted here: {error.stderr.strip()}")
    yield wire
    wire.close()


def test_row_43_machines_that_lose_each_other_end_and_go_on_when_they_are_joined(
    record: Path, whole: Path, tmp_path: Path, wire: Wire
) -> None:
    folder = prepare(tmp_path, record)
    processes = wire.start(folder)
    at_work(folder)
    wire.set("down")
    lasted = ended(folder, processes)
    assert all(process.returncode for process in processes)
    assert lasted < TIMEOUT + 5, said(folder)
    assert "Traceback" not in said(folder)
    wire.set("up")
    assert [process.wait(300) for process in wire.start(folder)] == [0, 0], said(folder)
    assert_alike(folder, whole)
