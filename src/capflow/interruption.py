"""What ends a program from outside: Ctrl-C while Python still imports, and stops that a training heeds.

A stop is SIGINT (Ctrl-C), SIGTERM (a cluster's or a system's end of a job) or SIGHUP (a terminal that is
closed). Whoever does not look after them is ended by them where it stands.
"""

import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import ParamSpec, TypeVar

logger = logging.getLogger(__name__)

A = ParamSpec("A")
T = TypeVar("T")

EXIT_CODE = 130
"""The shells' code for what Ctrl-C has ended."""


class Stopped(KeyboardInterrupt):
    """A stop that was heeded where nothing was half done."""

    def __init__(self, number: int) -> None:
        """Remember which signal it was."""
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number
        """The shells' code for what the signal has ended."""


class Stops:
    """Which signal has asked for the end, if one has."""

    def __init__(self, agree: Callable[[int], int] = int) -> None:
        """Begin without one; ``agree`` makes of this process's signal, or 0, that of all processes."""
        self._number, self._agree = 0, agree

    def ask(self, number: int, _: FrameType | None = None) -> None:
        """Take note of a signal; the second SIGINT ends the process at once."""
        if self._number and number == signal.SIGINT:
            os._exit(EXIT_CODE)
        self._number = number

    def heed(self) -> None:
        """Stop here, if a signal has asked for it.

        Raises:
            Stopped: it has.
        """
        if number := self._agree(self._number):
            raise Stopped(number)

    def heed_alone(self) -> None:
        """Stop here, if a signal has asked this process for it, wherever the others are.

        Raises:
            Stopped: it has.
        """
        if self._number:
            stop = Stopped(self._number)
            logger.warning("%s: stopped at the end; the same command goes on.", stop)
            raise stop

    def before(self, work: Callable[A, T]) -> Callable[A, T]:
        """The same work, which does not begin when a signal has asked for the end."""

        def heeding(*arguments: A.args, **named: A.kwargs) -> T:
            self.heed()
            return work(*arguments, **named)

        return heeding


@contextmanager
def heeded(agree: Callable[[int], int] = int) -> Iterator[Stops]:
    """Within the block stops only ask for the end; see :class:`Stops`.

    Raises:
        Stopped: the block has ended well, and one of them has not been heeded.
    """
    stops = Stops(agree)
    before = {number: signal.signal(number, stops.ask) for number in heard()}
    try:
        yield stops
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    stops.heed_alone()


def heard() -> list[signal.Signals]:
    """The signals that are stops: not SIGHUP where it is ignored, as `nohup` has it."""
    hangs_up = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
    return [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hangs_up else [])]


def ends_quietly() -> None:
    """Let an interruption that nobody catches end the process with 130 and without a traceback."""
    usual = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.exit(EXIT_CODE)
        usual(kind, error, trace)

    sys.excepthook = hook
