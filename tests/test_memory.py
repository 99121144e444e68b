"""Memory that a process has had stays with it, and what nothing lies in is handed back when asked for."""

import ctypes
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from stages import run

pytestmark = pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "mallopt"), reason="memory is not glibc's here"
)

# Four blocks one after another, the first of which the process has to ask for in any case.
_BLOCKS = """
import resource
import sys
import numpy as np
from capflow import memory

if sys.argv[1] == "kept":
    memory.keep()

def block():
    np.empty(64 << 20, np.uint8).fill(1)

block()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(3):
    block()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


# Large blocks, between which something small is left each time, so that they never are one place again.
_HOLES = """
import ctypes
import numpy as np
from capflow import memory

memory.keep()

def resident():
    with open("/proc/self/statm") as stream:
        return int(stream.read().split()[1]) * 4096 >> 20

left, before = [], resident()
for size in range(1, 9):
    block = np.ones(size << 24, np.uint8)
    left.append(np.ones(1 << 16, np.uint8))
    del block
print(resident() - before)
memory.hand_back()
print(resident() - before)
assert all(small.all() for small in left)
"""


def test_places_between_what_is_used_are_handed_back() -> None:
    command = [sys.executable, "-c", _HOLES]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    held, kept = map(int, told)
    assert held >= 128
    assert kept < 16


def pages(way: str) -> int:
    """The pages that three large blocks cost after a first one."""
    command = [sys.executable, "-c", _BLOCKS, way]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_blocks_are_handed_out_once() -> None:
    assert pages("kept") < pages("usual") / 10


def run_out_on_a_gpu() -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


@pytest.mark.parametrize(
    "main",
    [
        lambda: torch.empty(1 << 60, dtype=torch.uint8).fill_(0),
        lambda: np.empty(1 << 60, np.uint8).fill(0),
        run_out_on_a_gpu,
    ],
)
def test_a_stage_that_memory_runs_out_for_says_so(
    main: Callable[[], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=r"^error: memory ran out; in params\.yaml lower the batch_size"):
        run(main)


def test_other_errors_are_not_taken_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def main() -> None:
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        run(main)
