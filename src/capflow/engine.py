"""Torchrun as the engine: a stage's own command starts several processes where PET_* variables ask for them.

`python -m stages.train` stays the command that DVC knows. Where PET_NPROC_PER_NODE or PET_NNODES, which are
torchrun's own variables, want more than one process, the stage becomes torchrun's agent and starts itself
again as often as they say; else nothing here is imported and nothing changes.
"""

import logging
import os
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from threading import Thread
from types import FrameType

from capflow.errors import CapflowError
from capflow.interruption import EXIT_CODE

TIMEOUT = "CAPFLOW_TIMEOUT"
"""The environment variable that says for how many seconds a process waits for the others."""
_SECONDS = 300.0
_ONE = {"", "1"}
_LOOKS, _PAUSE = 4, 0.5


def wanted(environment: Mapping[str, str]) -> bool:
    """Whether more than one process is asked for, and this is not one of them already."""
    if "TORCHELASTIC_RUN_ID" in environment:
        return False
    return _several(environment) or environment.get("PET_NPROC_PER_NODE", "") not in _ONE


def rank(environment: Mapping[str, str]) -> int:
    """The number of this process among those that torchrun has started; 0 where it has not."""
    return int(environment.get("RANK", "0")) if "TORCHELASTIC_RUN_ID" in environment else 0


def patience(environment: Mapping[str, str]) -> float:
    """For how many seconds a process waits for the others.

    Raises:
        CapflowError: what the environment says is no number of seconds.
    """
    text = environment.get(TIMEOUT) or str(_SECONDS)
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1e9:
        raise CapflowError(f"{TIMEOUT}: {text!r} is no number of seconds; give one, such as 300.")
    return seconds


def cores(processes: int = 1) -> int:
    """How many processors each of some processes has, of those that this one may use."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, usable // processes)


def launch(module: str) -> int:
    """Run a module in as many processes as the environment says, and start them again as often as it says.

    Returns:
        The exit code: 0; 143 or 130 after SIGTERM or SIGINT; else 1, as one of them has ended otherwise.

    Raises:
        CapflowError: it is not known how many there are to be.
    """
    for name, value in _defaults(os.environ).items():
        os.environ.setdefault(name, value)
    os.environ["PET_RDZV_CONF"] = _settings(os.environ)
    from torch.distributed import run
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.elastic.rendezvous.api import RendezvousError

    os.environ.setdefault("OMP_NUM_THREADS", str(cores(_here(os.environ))))
    logging.getLogger("torch.distributed").setLevel(logging.CRITICAL)
    if _several(os.environ):
        Thread(target=_leave_when_stuck, daemon=True).start()
    signal.signal(signal.SIGINT, _interrupted)
    try:
        arguments = [*_rendezvous(os.environ), "-m", module]
        run.run(run.parse_args(arguments))  # type: ignore[no-untyped-call]
    except ChildFailedError as error:
        return _told(error.failures)
    except SignalException as stop:
        return 128 + stop.sigval.value
    except KeyboardInterrupt:
        return EXIT_CODE
    except (RendezvousError, RuntimeError) as error:
        sys.stderr.write(f"error: PET_RDZV_ENDPOINT: the machines cannot reach each other: {error}\n")
        return 1
    return 0


def _here(environment: Mapping[str, str]) -> int:
    """How many processes there are to be on this machine.

    Raises:
        CapflowError: torchrun does not understand what the environment says of them.
    """
    from torch.distributed.run import determine_local_world_size, parse_min_max_nnodes

    asked = {name: environment.get(name) or "1" for name in ("PET_NNODES", "PET_NPROC_PER_NODE")}
    name = "PET_NNODES"
    try:
        parse_min_max_nnodes(asked[name])
        name = "PET_NPROC_PER_NODE"
        count: int = determine_local_world_size(asked[name])
    except (ValueError, RuntimeError) as error:
        raise CapflowError(f"{name}: {asked[name]!r} cannot be had ({error}); give a number.") from None
    if count < 1:
        raise CapflowError(f"{name}: {asked[name]!r} processes would do nothing; give 1 or more.")
    return count


def _interrupted(_: int, __: FrameType | None) -> None:
    """Let SIGINT end all processes, each with what it has to do before; the second one ends them at once.

    torchrun tells them of the first alone.
    """
    from torch.distributed.elastic.multiprocessing.api import SignalException

    signal.signal(signal.SIGINT, _interrupted_again)
    raise SignalException("interrupted", signal.SIGINT)


def _interrupted_again(_: int, __: FrameType | None) -> None:
    with suppress(FileNotFoundError):  # where the system does not tell of them, torchrun ends them later
        for child in Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii").split():
            with suppress(ProcessLookupError):
                os.kill(int(child), signal.SIGKILL)


def _leave_when_stuck() -> None:
    """End the agent where one of its processes has ended and it does not look.

    It looks ten times a second, but where the network is cut while it speaks with another machine it waits
    for an answer until the system gives the connection up, a quarter of an hour later.
    """
    looks = 0
    while looks < _LOOKS:
        time.sleep(_PAUSE)
        with suppress(ChildProcessError):
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            looks = looks + 1 if ended else 0
    sys.stderr.write("error: PET_RDZV_ENDPOINT: another machine does not answer; the same command goes on.\n")
    sys.stderr.flush()
    os._exit(1)


def _several(environment: Mapping[str, str]) -> bool:
    """Whether there is more than one machine, or may be."""
    return environment.get("PET_NNODES", "").rpartition(":")[2] not in _ONE


def _rendezvous(environment: Mapping[str, str]) -> list[str]:
    """On one machine processes find each other at a free port, whatever else runs there."""
    given = {"PET_RDZV_ENDPOINT", "PET_MASTER_ADDR", "PET_STANDALONE"} & environment.keys()
    return [] if given or _several(environment) else ["--standalone", "--local-addr", "127.0.0.1"]


def _settings(environment: Mapping[str, str]) -> str:
    """How machines find each other; one that has lost the others must not wait for them for longer."""
    given = [setting for setting in environment.get("PET_RDZV_CONF", "").split(",") if setting]
    if not any(setting.startswith("read_timeout=") for setting in given):
        given.append(f"read_timeout={max(1, min(60, int(patience(environment) / 3)))}")
    return ",".join(given)


def _defaults(environment: Mapping[str, str]) -> dict[str, str]:
    """What processes get to know where the user has not said it."""
    # Each attempt of processes that are started again has a store of its own.
    defaults = {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
    # What it logs of lost connections has pages; the stage has a sentence.
    defaults["TORCH_CPP_LOG_LEVEL"] = "FATAL"
    # SIGINT is ours.
    defaults["PET_SIGNALS_TO_HANDLE"] = "SIGTERM,SIGHUP,SIGQUIT"
    if not _several(environment) and sys.platform == "linux":
        defaults["GLOO_SOCKET_IFNAME"] = "lo"
    return defaults


def _told(failures: Mapping[int, object]) -> int:
    """Say which processes were killed; what else ends one, it says itself."""
    for number, failure in sorted(failures.items()):
        code = getattr(failure, "exitcode", 1)
        if code < 0:
            name = signal.Signals(-code).name
            sys.stderr.write(f"error: process {number} was ended by {name}; the same command goes on.\n")
    return 1
