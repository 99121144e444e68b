"""What ends a program from outside: Ctrl-C while Python still imports, and stops that a training heeds.

A stop is SIGINT (Ctrl-C) or SIGTERM (a cluster's or a system's end of a job). Whoever does not look after
them is ended by them where it stands.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import ParamSpec, TypeVar

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

    def before(self, work: Callable[A, T]) -> Callable[A, T]:
        """The same work, which does not begin when a signal has asked for the end."""

        def heeding(*arguments: A.args, **named: A.kwargs) -> T:
            self.heed()
            return work(*arguments, **named)

        return heeding


@contextmanager
def heeded(agree: Callable[[int], int] = int) -> Iterator[Stops]:
    """Within the block SIGINT and SIGTERM only ask for the end; see :class:`Stops`."""
    stops = Stops(agree)
    before = {number: signal.signal(number, stops.ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stops
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ends_quietly() -> None:
    """Let an interruption that nobody catches end the process with 130 and without a traceback."""
    usual = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.exit(EXIT_CODE)
        usual(kind, error, trace)

    sys.excepthook = hook
