"""The command line: a module for each command or two, which ``capflow --help`` lists.

PyTorch and the scorers take seconds to import, so each command imports what it needs when it runs.
"""

from capflow import interruption

interruption.ends_quietly()  # first of all: what follows takes a while

import io
import logging
import sys

import typer

from capflow.cli import (
    captioning,
    demo,
    exporting,
    fetching,
    promoting,
    recording,
    reporting,
    scoring,
    showing,
    ui,
    verifying,
)
from capflow.cli.app import ConflictError, app
from capflow.errors import CapflowError, sentence

__all__ = [
    "app",
    "captioning",
    "demo",
    "exporting",
    "fetching",
    "main",
    "promoting",
    "recording",
    "reporting",
    "scoring",
    "showing",
    "ui",
    "verifying",
]


def main() -> None:
    """Run the command line; bad input ends in one sentence and exit code 1, or 2 where it is options'."""
    _open_what_is_closed()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")  # names of files, byte for byte
    logging.basicConfig(format="%(levelname)s: %(message)s", stream=sys.stderr)
    try:
        app()
    except ConflictError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(2)
    except (CapflowError, OSError) as error:
        sys.exit(f"error: {sentence(error)}")


def _open_what_is_closed() -> None:
    """Let go nowhere what is said to an outlet that the shell has closed, as `>&-` does."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, io.StringIO())
