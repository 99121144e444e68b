"""Folders for what is half made: they go with their block, or after a death with a later one."""

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from capflow import project
from capflow.errors import CapflowError
from capflow.locks import alone, in_turn

_WHAT = "what makes something there"


@contextmanager
def scratch() -> Iterator[Path]:
    """An empty folder on the store's file system, for the block."""
    home = project.store() / "scratch"
    for lock in home.glob("*.lock"):
        with suppress(CapflowError), alone(lock, _WHAT):  # whose holder has died without a word
            shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
    folder = home / uuid.uuid4().hex
    with in_turn(folder.with_suffix(".lock"), _WHAT):
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
