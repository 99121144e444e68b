"""Torchrun as the engine: a stage's own command starts several processes where PET_* variables ask for them.

`python -m stages.train` stays the command that DVC knows. Where PET_NPROC_PER_NODE or PET_NNODES, which are
torchrun's own variables, want more than one process, the stage becomes torchrun's agent and starts itself
again as often as they say; else nothing here is imported and nothing changes.
"""

import logging
import os
import signal
import sys
from collections.abc import Mapping

from capflow.interruption import EXIT_CODE

_ONE = {"", "1"}


def wanted(environment: Mapping[str, str]) -> bool:
    """Whether more than one process is asked for, and this is not one of them already."""
    if "TORCHELASTIC_RUN_ID" in environment:
        return False
    return _several(environment) or environment.get("PET_NPROC_PER_NODE", "") not in _ONE


def rank(environment: Mapping[str, str]) -> int:
    """The number of this process among those that torchrun has started; 0 where it has not."""
    return int(environment.get("RANK", "0")) if "TORCHELASTIC_RUN_ID" in environment else 0


def launch(module: str) -> int:
    """Run a module in as many processes as the environment says, and start them again as often as it says.

    Returns:
        The exit code: 0; 143 or 130 after SIGTERM or SIGINT; else 1, as one of them has ended otherwise.
    """
    for name, value in _defaults(os.environ).items():
        os.environ.setdefault(name, value)
    from torch.distributed import run
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    logging.getLogger("torch.distributed").setLevel(logging.ERROR)
    try:
        arguments = [*_rendezvous(os.environ), "-m", module]
        run.run(run.parse_args(arguments))  # type: ignore[no-untyped-call]
    except ChildFailedError as error:
        return _told(error.failures)
    except SignalException as stop:
        return 128 + stop.sigval.value
    except KeyboardInterrupt:
        return EXIT_CODE
    return 0


def _several(environment: Mapping[str, str]) -> bool:
    """Whether there is more than one machine, or may be."""
    return environment.get("PET_NNODES", "").rpartition(":")[2] not in _ONE


def _rendezvous(environment: Mapping[str, str]) -> list[str]:
    """On one machine processes find each other at a free port, whatever else runs there."""
    given = {"PET_RDZV_ENDPOINT", "PET_MASTER_ADDR", "PET_STANDALONE"} & environment.keys()
    return [] if given or _several(environment) else ["--standalone", "--local-addr", "127.0.0.1"]


def _defaults(environment: Mapping[str, str]) -> dict[str, str]:
    """What processes get to know where the user has not said it."""
    # Each attempt of processes that are started again has a store of its own.
    defaults = {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
    here = environment.get("PET_NPROC_PER_NODE", "1")
    if here.isdecimal():
        defaults["OMP_NUM_THREADS"] = str(max(1, (os.cpu_count() or 1) // max(1, int(here))))
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
