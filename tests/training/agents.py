"""Agents and their processes in tests; :mod:`tests.together` starts the agents, which start this module."""

import os
import signal
import sys
import time
from pathlib import Path
from threading import Thread
from types import FrameType

from torch.distributed.elastic.rendezvous.dynamic_rendezvous import DynamicRendezvousHandler

from capflow.engine import launch
from tests.checkout import ROOT

SLOW = 3.0
"""Seconds for a last checkpoint: more than an agent that waits for another machine has."""
PATIENCE = 60.0
_AT_WORK = [f"first-{rank}" for rank in range(4)]


def slow_first() -> None:
    """Process 1 ends, and after a new start the agent is told to end: each time process 0 takes its time."""
    _choose(PET_NNODES="1:2", PET_MAX_RESTARTS="1", PET_RDZV_CONF="is_host=1,last_call_timeout=1")
    Thread(target=_stop_later, daemon=True).start()
    sys.exit(launch(__name__))


def _stop_later() -> None:
    _wait_for("second-0", "second-1")
    os.kill(os.getpid(), signal.SIGTERM)


def silent_host() -> None:
    """Two machines; the one that all others ask does not answer any more, and then the processes end."""
    _two_machines(_AT_WORK)


def silent_at_the_end() -> None:
    """As there, but only when the other agent has seen the end of its processes and takes its leave."""
    shutdown = DynamicRendezvousHandler.shutdown

    def late(handler: DynamicRendezvousHandler) -> bool:
        Path("leaving").touch()
        _wait_for("silent")
        return shutdown(handler)

    os.environ |= {"CAPFLOW_TIMEOUT": "5"}
    if os.environ["RANK"] != "0":
        setattr(DynamicRendezvousHandler, "shutdown", late)  # noqa: B010 -- no type can be told of it
        os.environ |= {"ENDS_AFTER": "first-0"}
    _two_machines(["leaving"])


def _two_machines(work: list[str]) -> None:
    host = os.environ["RANK"] == "0"
    _choose(PET_NNODES="2", PET_RDZV_CONF=f"is_host={int(host)}")
    if host:
        _fall_silent(work)
    else:
        Path("other").write_text(str(os.getpid()))
    sys.exit(launch(__name__))


def _fall_silent(when: list[str]) -> None:
    """Stop this process when there are some files, and end it when the other agent has ended."""
    agent = os.getpid()
    if os.fork():
        return
    _wait_for(*when)
    os.kill(agent, signal.SIGSTOP)
    Path("silent").touch()
    until = time.monotonic() + PATIENCE
    while _is_alive(int(Path("other").read_text())) and time.monotonic() < until:
        time.sleep(0.05)
    os.kill(agent, signal.SIGKILL)
    os._exit(0)


def _is_alive(process: int) -> bool:
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def _choose(**variables: str) -> None:
    port = os.environ.pop("MASTER_PORT", "0")
    os.environ |= {"PET_NPROC_PER_NODE": "2", "PET_RDZV_BACKEND": "c10d", "PET_RDZV_ID": "test"} | variables
    os.environ["PYTHONPATH"] = f"{ROOT / 'src'}{os.pathsep}{ROOT}"
    os.environ |= {"PET_RDZV_ENDPOINT": f"127.0.0.1:{port}", "PET_LOCAL_ADDR": "127.0.0.1"}


def _wait_for(*names: str) -> None:
    until = time.monotonic() + PATIENCE
    while not all(Path(name).exists() for name in names):
        if time.monotonic() > until:
            os._exit(99)
        time.sleep(0.02)


def _save(number: int, _: FrameType | None) -> None:
    """The first process writes a checkpoint before it ends, the others leave at once."""
    if os.environ["RANK"] == "0":
        time.sleep(SLOW)
        with Path("checkpoints").open("a") as stream:
            stream.write("one\n")
    os._exit(128 + number)


def main() -> None:
    """Be a process of an agent: be at work, and end where that is the plan."""
    rank, several = os.environ["RANK"], os.environ["WORLD_SIZE"] == "4"
    attempt = "first" if os.environ["TORCHELASTIC_RESTART_COUNT"] == "0" else "second"
    signal.signal(signal.SIGTERM, _save)
    Path(f"{attempt}-{rank}").touch()
    if attempt == "first" and (several or rank == "1"):
        _wait_for(os.environ.get("ENDS_AFTER", "silent") if several else "first-0")
        time.sleep(2 if several else 0)  # by then the agent has asked
        sys.exit(9)
    time.sleep(PATIENCE)


if __name__ == "__main__":
    main()
