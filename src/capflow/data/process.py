"""What a download needs of its process: files that may be open, and to hear of Ctrl-C."""

import asyncio
import resource
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from capflow.errors import CapflowError

# Files that a process has open besides, and those that a connection needs: a socket and a part, for
# each of two servers.
_OTHERS, _NEEDED = 32, 4


def affordable(wanted: int) -> int:
    """How many of the connections to a server that are wanted the limit of open files leaves room for.

    Raises:
        CapflowError: none.
    """
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most == resource.RLIM_INFINITY:
        return wanted
    if (connections := (most - _OTHERS) // _NEEDED) < 1:
        raise CapflowError(
            f"at most {most} files may be open, which is too few for downloads; "
            "allow more, for instance with `ulimit -n 256`, then run again."
        )
    return min(wanted, connections)


@contextmanager
def interruptions(handle: Callable[[], None]) -> Iterator[None]:
    """Call ``handle`` at each SIGINT; only the main thread can have them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, handle)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)
