"""Ctrl-C while Python still imports: the end is as quiet as later, when the program itself looks after it."""

import sys
from types import TracebackType

EXIT_CODE = 130
"""The shells' code for what Ctrl-C has ended."""


def ends_quietly() -> None:
    """Let an interruption that nobody catches end the process with 130 and without a traceback."""
    usual = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.exit(EXIT_CODE)
        usual(kind, error, trace)

    sys.excepthook = hook
