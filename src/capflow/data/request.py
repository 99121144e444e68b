"""What a download asks for, and the ways in which it can fail."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple


class Request(NamedTuple):
    """One file to have.

    Attributes:
        url: its address.
        target: its place, below :func:`capflow.project.downloads`.
        fault: says what is wrong with the file that came, or None.
        cap: bytes that it may have at most.
        size: bytes that it must have, where that is known.
        edition: what the file belongs to, in any words. A file that came with another edition is
            asked for again, unless the server says that it has not changed. Empty: a file that is
            there is right. None: nobody knows, so the server is asked each time.
        hosts: the hosts that its server may redirect to.
    """

    url: str
    target: Path
    fault: Callable[[Path], str | None]
    cap: int
    size: int | None = None
    edition: str | None = ""
    hosts: frozenset[str] = frozenset()

    @property
    def part(self) -> Path:
        """Where the file is while it comes."""
        return self.target.with_name(f".{self.target.name}.part")


class TransferError(Exception):
    """The file did not come."""


class PassingError(TransferError):
    """A failure that may pass; ``pause`` is what the server asks for, in seconds."""

    def __init__(self, reason: str, pause: float = 0.0) -> None:
        super().__init__(reason)
        self.pause = pause


class WrongFileError(TransferError):
    """A file came that is not what it should be; once more may help, often does not."""


class RefusedError(TransferError):
    """Something that must not be: once more will not help."""


class AbsentError(TransferError):
    """The server says that it has no such file."""
