"""Memory that a process has had stays with it: counted in pages that the system had to hand out again."""

import ctypes
import subprocess
import sys

import pytest

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


def pages(way: str) -> int:
    """The pages that three large blocks cost after a first one."""
    command = [sys.executable, "-c", _BLOCKS, way]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="memory is not glibc's here")
def test_blocks_are_handed_out_once() -> None:
    assert pages("kept") < pages("usual") / 10
