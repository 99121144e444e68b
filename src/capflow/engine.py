"""Torchrun as the engine: a stage's own command starts several processes where PET_* variables ask for them.

`python -m stages.train` stays the command that DVC knows. Where PET_NPROC_PER_NODE or PET_NNODES, which are
torchrun's own variables, want more than one process, the stage becomes torchrun's agent and starts itself
again as often as they say; else nothing here is imported and nothing changes.
"""

import io
import logging
import os
import signal
import sys
from argparse import Namespace
from collections.abc import Mapping
from contextlib import redirect_stderr, suppress
from threading import Thread
from types import FrameType

from capflow import stuck
from capflow.errors import CapflowError
from capflow.interruption import EXIT_CODE, heard

TIMEOUT = "CAPFLOW_TIMEOUT"
"""The environment variable that says for how many seconds a process waits for the others."""
_SECONDS = 300.0
_ONE = {"", "1"}


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
        The exit code: 0; 143, 130 or 129 after SIGTERM, SIGINT or SIGHUP, on this machine or on another one;
        else 1, as one of them has ended otherwise.

    Raises:
        CapflowError: torchrun does not understand what the environment says.
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
    signal.signal(signal.SIGINT, _interrupted)
    try:
        arguments = _arguments(module)
        if _several(os.environ):
            waits = patience(os.environ), arguments.monitor_interval
            Thread(target=stuck.leave, args=waits, daemon=True).start()
        run.run(arguments)  # type: ignore[no-untyped-call]
    except ChildFailedError as error:
        return _told(error.failures)
    except SignalException as stop:
        return 128 + stop.sigval.value
    except KeyboardInterrupt:
        return EXIT_CODE
    except (ValueError, AssertionError) as error:
        reason = str(error).rstrip(".")
        raise CapflowError(f"PET_*: torchrun cannot go by these variables ({reason}).") from None
    except (RendezvousError, RuntimeError) as error:
        reason = str(error).strip().partition("\n")[0]  # beneath it are the system's own calls
        sys.stderr.write(f"error: {_trouble(os.environ)}: {reason}\n")
        return 1
    return 0


def _arguments(module: str) -> Namespace:
    """What torchrun reads in the environment.

    Raises:
        CapflowError: it does not understand it.
    """
    from torch.distributed.run import parse_args

    said = io.StringIO()
    try:
        with redirect_stderr(said):
            arguments: Namespace = parse_args(  # type: ignore[no-untyped-call]
                [*_rendezvous(os.environ), "-m", module]
            )
    except SystemExit:
        # Such as: "argument --max-restarts/--max_restarts: invalid int value: 'x'".
        option, _, reason = said.getvalue().strip().rpartition("error: ")[2].partition(": ")
        name = option.partition("--")[2].partition("/")[0].upper().replace("-", "_")
        raise CapflowError(f"PET_{name}: {reason}; give what torchrun takes.") from None
    return arguments


def _trouble(environment: Mapping[str, str]) -> str:
    """What the agent could not do, and which variable says where."""
    given = [name for name in ("PET_RDZV_ENDPOINT", "PET_MASTER_ADDR") if environment.get(name)]
    if not given and not _several(environment):
        return "the processes cannot be started"
    return f"{[*given, 'PET_RDZV_ENDPOINT'][0]}: the machines cannot reach each other"


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
    for child in stuck.children():  # of whom the system does not tell, torchrun ends later
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


def _several(environment: Mapping[str, str]) -> bool:
    """Whether there is more than one machine, or may be."""
    return environment.get("PET_NNODES", "") not in {*_ONE, "1:1"}


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
    # SIGINT is ours, and what `nohup` has ignored stays so.
    handled = ["SIGQUIT", *(number.name for number in heard() if number != signal.SIGINT)]
    defaults["PET_SIGNALS_TO_HANDLE"] = ",".join(handled)
    if not _several(environment) and sys.platform == "linux":
        defaults["GLOO_SOCKET_IFNAME"] = "lo"
    return defaults


def _told(failures: Mapping[int, object]) -> int:
    """Say which processes were killed; what else ends one, it says itself.

    Returns:
        The exit code: theirs, where all have stopped with those of another machine; else 1.
    """
    codes = {number: getattr(failure, "exitcode", 1) for number, failure in failures.items()}
    stopped = {128 + number for number in heard()}
    if len({*codes.values()}) == 1 and stopped.issuperset(codes.values()):
        return int(codes.popitem()[1])
    # Where one has said what it failed of, torchrun has ended the others, and the same command fails again.
    if any(0 < code < 128 for code in codes.values()):
        return 1
    for number, code in sorted(codes.items()):
        if code < 0:
            name = signal.Signals(-code).name
            sys.stderr.write(f"error: process {number} was ended by {name}; the same command goes on.\n")
    return 1
