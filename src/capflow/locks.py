"""One process at a time, by flock: the system lets go of a lock when its holder dies, however that was."""

import fcntl
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from capflow.errors import CapflowError

logger = logging.getLogger(__name__)


@contextmanager
def alone(path: Path, what: str) -> Iterator[None]:
    """Hold a lock within the block, or refuse.

    Args:
        path: the lock's file, which tells the number of the process that holds it.
        what: what nobody else may do meanwhile, for the message.

    Raises:
        CapflowError: another process holds it, which is named.
    """
    with _locked(path, lambda stream: _refused(path, stream, what)):
        yield


@contextmanager
def in_turn(path: Path, what: str) -> Iterator[None]:
    """Hold a lock within the block; wait for others that hold it, and say so."""
    with _locked(path, lambda stream: _waited(stream, what)):
        yield


@contextmanager
def _locked(path: Path, otherwise: Callable[[TextIO], None]) -> Iterator[None]:
    """Hold the lock; ``otherwise`` is done where somebody else holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        with path.open("a+", encoding="utf-8") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                otherwise(stream)
            if not _is_in_place(stream, path):
                continue  # whoever held it before has just removed it
            _sign(stream)
            try:
                yield
            finally:
                path.unlink(missing_ok=True)
            return


def _refused(path: Path, stream: TextIO, what: str) -> None:
    raise CapflowError(
        f"{path}: {what} is at work here already, {_holder(stream)}; wait for its end, or end it with `kill`."
    )


def _waited(stream: TextIO, what: str) -> None:
    logger.info("waiting for %s, %s", what, _holder(stream))
    fcntl.flock(stream, fcntl.LOCK_EX)


def _is_in_place(stream: TextIO, path: Path) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(stream.fileno()))
    except FileNotFoundError:
        return False


def _sign(stream: TextIO) -> None:
    stream.truncate(0)
    stream.write(str(os.getpid()))
    stream.flush()


def _holder(stream: TextIO) -> str:
    stream.seek(0)
    number = stream.read()
    return f"process {number}" if number else "another process"
