"""The Tab key in real shells: commands, options, choices, files and folders."""

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

BEGIN, END = "\x01", "\x05"  # Ctrl-A, Ctrl-E
SHELLS = {"bash": ["--noprofile"], "zsh": [], "fish": ["--init-command=set -g fish_autosuggestion_enabled 0"]}
LINES = {
    "capflow capt\t": "capflow caption",
    "capflow caption --js\t": "capflow caption --json",
    "capflow data st\t": "capflow data status",
    "capflow show tr\t": "capflow show train",
    "capflow caption pho\t": "capflow caption photo.jpg",
    "capflow caption --model mod\t": "capflow caption --model models-of-mine",
}
# fish wants a terminal that is its own.
LEADER = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
NEEDLESS = """
import atexit, sys
slow = {"torch", "numpy", "mlflow", "capflow.params"}
atexit.register(lambda: print(sorted(slow & {*sys.modules}), file=sys.stderr))
sys.argv = ["capflow"]
from capflow.cli import main
main()
"""


def surroundings(home: Path) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {"HOME": str(home), "PATH": path, "TERM": "xterm", "LC_ALL": "C.UTF-8"}


@contextmanager
def at_a_terminal(command: list[str], folder: Path) -> Iterator[Callable[[str], str]]:
    """A shell that reads its files from a folder; what it has made of a line that was typed."""
    screen, terminal = pty.openpty()
    shell = subprocess.Popen(
        [sys.executable, "-c", LEADER, *command],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        cwd=folder,
        env=surroundings(folder),
    )
    os.close(terminal)
    written = folder / "written.txt"

    def typed(line: str) -> str:
        os.write(screen, f"{line}{BEGIN}echo {END} > {written.name}\n".encode())
        deadline, seen = time.monotonic() + 60, b""
        while not (written.exists() and written.read_text().endswith("\n")):
            assert time.monotonic() < deadline, seen
            if select.select([screen], [], [], 0.02)[0]:
                seen += os.read(screen, 4096)
        words = written.read_text().strip()
        written.unlink()
        return words

    try:
        yield typed
    finally:
        shell.kill()
        shell.wait()
        os.close(screen)


@pytest.mark.parametrize("shell", ["bash", "zsh", pytest.param("fish", marks=pytest.mark.slow)])
def test_tab_completes(shell: str, tmp_path: Path) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is missing: install the package `{shell}`")
    (tmp_path / "photo.jpg").touch()
    (tmp_path / "models-of-mine").mkdir()
    install = [program, "-c", "capflow --install-completion; true"]
    told = subprocess.run(install, env=surroundings(tmp_path), cwd=tmp_path, capture_output=True, text=True)
    assert f"{shell} completion installed" in told.stdout, told.stderr
    with at_a_terminal([program, *SHELLS[shell], "-i"], tmp_path) as typed:
        # A Tab before the prompt completes nothing, and zsh's first one only loads what answers the others.
        typed("capflow capt\t")
        assert {line: typed(line).rstrip("/") for line in LINES} == LINES


def test_completion_loads_nothing_that_takes_seconds() -> None:
    asked = {"_CAPFLOW_COMPLETE": "complete_bash", "COMP_WORDS": "capflow caption --b", "COMP_CWORD": "2"}
    told = subprocess.run(
        [sys.executable, "-c", NEEDLESS], env=os.environ | asked, capture_output=True, text=True, check=True
    )
    assert told.stdout.split() == ["--beam", "--best"]
    assert told.stderr.strip() == "[]"
