"""The stages of the pipeline: each script reads its parameters, calls the library, writes its artifacts.

DVC runs queued and temporary experiments in a copy of the repository, while the environment has the
live checkout installed. So the ``src`` of the copy that a stage stands in comes first.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from capflow import interruption

interruption.ends_quietly()  # first of all: what stages import takes seconds

import logging
import os
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from typing import TypeVar

from capflow import engine, memory
from capflow.bars import bar
from capflow.errors import CapflowError, sentence
from capflow.locks import alone

T = TypeVar("T")


def run(main: Callable[[], None], *, together: bool = False) -> None:
    """Run a stage: messages to stderr, a bad input or file as one sentence there and exit code 1.

    An interruption ends with 130, the shells' code for it. In one workspace each stage is at work once at
    most: one whose ``dvc`` was killed goes on, and nobody may write beside it.

    Args:
        main: the stage.
        together: whether several processes can do it, where torchrun's variables ask for them.
    """
    rank = engine.rank(os.environ)
    for level in (logging.INFO, logging.WARNING, logging.ERROR):
        logging.addLevelName(level, logging.getLevelName(level).lower())
    logging.basicConfig(format="%(levelname)s: %(message)s", stream=sys.stderr)
    # Our own messages, and only the warnings of the libraries.
    for logged in ("capflow", "stages", "__main__"):
        logging.getLogger(logged).setLevel(logging.ERROR if rank else logging.INFO)
    memory.keep()
    name = Path(sys.argv[0]).stem
    lock = Path(".capflow") / f"{name}.lock"
    try:
        if together and engine.wanted(os.environ):
            sys.exit(engine.launch(f"stages.{name}"))
        with nullcontext() if rank else alone(lock, "this stage"), memory.enough():
            main()
    except (CapflowError, OSError) as error:
        sys.exit(f"error: {sentence(error)}")
    except interruption.Stopped as stop:
        sys.exit(stop.exit_code)
    except KeyboardInterrupt:
        sys.exit(interruption.EXIT_CODE)


def progress(title: str) -> Callable[[Iterable[T], int], Iterable[T]]:
    """A progress bar for (items, their number), shown on a terminal only."""
    return lambda items, total: bar(items, title, total)
