"""What is half made when a process dies without a word goes with a later one."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from capflow.scratch import scratch
from tests.checkout import ROOT, environment

DIES = """
import os, signal
from capflow.scratch import scratch
with scratch() as folder:
    (folder / "model.zip").write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_it_goes_with_its_block_or_after_a_death_with_a_later_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dvc.yaml").touch()
    monkeypatch.chdir(tmp_path)
    home = tmp_path / ".capflow/scratch"
    path = {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), *sys.path])}
    died = subprocess.run([sys.executable, "-c", DIES], env=environment() | path, check=False)
    assert died.returncode == -signal.SIGKILL
    assert [file.read_bytes() for file in home.glob("*/*")] == [b"half"]
    with scratch() as first, scratch() as second:
        assert sorted(path for path in home.iterdir() if path.is_dir()) == sorted([first, second])
    assert list(home.iterdir()) == []
