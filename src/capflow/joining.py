"""How processes that torchrun has started come together, and part again.

Where there is one alone, nothing of ``torch.distributed`` is begun.
"""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from threading import Thread

import torch
from torch import distributed as dist
from torch._C._distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from capflow.engine import patience
from capflow.errors import CapflowError
from capflow.interruption import Stopped
from capflow.processes import ALONE, LostTouchError, Processes, in_touch

_SOON, _AT_ONCE, _PAUSE = 3.0, 0.5, 0.01


@contextmanager
def together(environment: Mapping[str, str] = os.environ) -> Iterator[Processes]:
    """Join the processes that torchrun has started, until all are at the end of the block.

    That is so, too, where they stop: the first one has a checkpoint to write, and what starts them may end
    all when one has left. An error that several of them have is said by one.

    Raises:
        CapflowError: the others cannot be reached.
    """
    count = int(environment.get("WORLD_SIZE", "1"))
    if count == 1:
        yield ALONE
        return
    rank = int(environment["RANK"])
    store = _join(rank, count, environment)
    processes = Processes(rank, count, store)
    try:
        try:
            yield processes
        except Stopped:
            processes.leave()
            raise
        processes.leave()
    except CapflowError as error:
        # Of those with whom it has lost touch, nobody may be there to wait for.
        if _said(store, 1 if isinstance(error, LostTouchError) else count):
            raise SystemExit(1) from None
        raise
    finally:
        dist.destroy_process_group()


def _join(rank: int, count: int, environment: Mapping[str, str]) -> Store:
    """Start to communicate; a store of few words, which all of them share."""
    timeout = timedelta(seconds=patience(environment))
    backend = "gloo"
    if torch.cuda.is_available():
        backend = "cpu:gloo,cuda:nccl"
        _take_gpu(int(environment["LOCAL_RANK"]))
    store: Store
    with in_touch():
        store, *_ = next(rendezvous("env://", timeout=timeout))
        if environment.get("TORCHELASTIC_USE_AGENT_STORE") == "True":
            # It outlives processes that the agent starts again: theirs must be other words.
            store = PrefixStore(f"attempt-{environment['TORCHELASTIC_RESTART_COUNT']}", store)
        dist.init_process_group(backend, store=store, rank=rank, world_size=count, timeout=timeout)
    return store


def _take_gpu(number: int) -> None:
    if number >= torch.cuda.device_count():
        raise CapflowError(
            f"PET_NPROC_PER_NODE: process {number} has no GPU, as there are {torch.cuda.device_count()}; "
            "start one process for each."
        )
    torch.cuda.set_device(number)


def _said(store: Store, count: int) -> bool:
    """Whether another process has said what is wrong, or will; if the store is silent, it has not.

    Nobody leaves before ``count`` of them have asked, as the store may be the first one's and go with it;
    those that have no error never ask, and are not waited for for long.
    """
    answers = []

    def ask() -> None:
        with suppress(RuntimeError):
            answers.append(store.add("errors", 1) > 1)
            while store.add("errors", 0) < count:
                time.sleep(_PAUSE)

    asking = Thread(target=ask, daemon=True)  # over a broken network it would wait forever
    asking.start()
    asking.join(_SOON if count > 1 else _AT_ONCE)
    return answers == [True]
