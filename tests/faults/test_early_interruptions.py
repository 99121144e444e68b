"""Ctrl-C while Python still imports, and while `capflow verify` reads a large file."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.checkout import ROOT
from tests.faults.artifacts import md5

# The program as it is, with an interruption at the first import of a module that it needs.
_INTERRUPTED = """
import runpy, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == interrupted:
            raise KeyboardInterrupt
interrupted, module = sys.argv[1:3]
sys.argv[1:] = []
sys.meta_path.insert(0, Finder())
if module == "capflow":
    from capflow.cli import main
else:
    runpy.run_module(module, run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize(
    ("module", "interrupted"),
    [
        ("capflow", "typer"),
        ("capflow", "capflow.project"),
        ("stages.train", "numpy"),
        ("stages.train", "tqdm"),
    ],
)
def test_row_17_ctrl_c_while_modules_are_imported(module: str, interrupted: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _INTERRUPTED, interrupted, module],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_verify_ends_at_ctrl_c_whatever_it_reads(tmp_path: Path) -> None:
    with (tmp_path / "model.bin").open("wb") as hole:
        hole.truncate(64 << 30)  # takes minutes to read, and no space
    (tmp_path / "dvc.yaml").write_text("stages: {make: {outs: [model.bin]}}")
    (tmp_path / "dvc.lock").write_text(
        f"stages: {{make: {{outs: [{{path: model.bin, md5: {md5(b'other')}}}]}}}}"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", "from capflow.cli import main; main()", "verify"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        _wait_until_open(process.pid, tmp_path / "model.bin")
        process.send_signal(signal.SIGINT)
        begun = time.monotonic()
        _, said = process.communicate(timeout=30)
        assert time.monotonic() - begun < 5
        assert (process.returncode, said.strip()) == (130, "")
    finally:
        process.kill()


def _wait_until_open(process: int, path: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if any(link.exists() and link.samefile(path) for link in Path(f"/proc/{process}/fd").iterdir()):
            return
        time.sleep(0.02)
    pytest.fail(f"{path} is not read")
