"""An agent of torchrun that is stuck: it waits for a machine that does not answer."""

import os
import sys
import time
from contextlib import suppress
from pathlib import Path

_PAUSE, _OVERLOOKED, _SPARE = 0.25, 2.0, 5.0  # seconds


def leave(waits: float, looks: float) -> None:
    """End the agent where none of its processes is at work any more and it does not come to an end itself.

    It looks after them ten times a second, but where the network is cut while it speaks with another machine
    it waits for an answer until the system gives the connection up, a quarter of an hour later. While one of
    them is still alive it may well be that which the agent waits for, as it writes its last checkpoint. When
    the agent has taken note of their end, it may also be that it waits for other machines, as long as it may:
    at the end torchrun itself gives them 300 s.

    Args:
        waits: for how many seconds a process waits for the others.
        looks: after how many seconds the agent looks again, where the user wants it to do so less often.
    """
    started, idle = False, 0.0
    while True:
        time.sleep(_PAUSE)
        states = _states()
        started = started or bool(states)
        # Pauses are counted, and no clock is asked: it goes on while the agent itself is stopped.
        idle = idle + _PAUSE if started and not states - {"Z"} else 0.0
        if idle >= (max(_OVERLOOKED, 2 * looks) if states else waits + _SPARE):
            break
    sys.stderr.write("error: PET_RDZV_ENDPOINT: another machine does not answer; the same command goes on.\n")
    sys.stderr.flush()
    os._exit(1)


def _states() -> set[str]:
    """The states of the agent's processes, by the system's letters; Z: ended, and not yet looked at."""
    states = set()
    for child in children():
        with suppress(OSError):
            states.add(Path(f"/proc/{child}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0])
    return states


def children() -> list[int]:
    """The agent's processes; none where the system does not tell of them."""
    with suppress(FileNotFoundError):
        return [*map(int, Path(f"/proc/self/task/{os.getpid()}/children").read_text("ascii").split())]
    return []
