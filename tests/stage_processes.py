"""Stages as processes of their own, in a checkout that has COCO from some mirror."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.checkout import ROOT

# The stage as `python -m` runs it, but for the seconds between two attempts.
_IMPATIENT = """
import runpy, sys, stages
from capflow.data import crew
crew._PAUSE = 0.01
runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)
"""


def choose_coco(checkout: Path, mirror: str) -> None:
    """Put the stages into a checkout, and parameters that choose COCO 2014 from a mirror."""
    shutil.copytree(ROOT / "stages", checkout / "stages")
    parameters = (ROOT / "params.yaml").read_text(encoding="utf-8")
    chosen = re.sub(r"(?m)^  name: scenes", "  name: coco2014", parameters, count=1)
    (checkout / "params.yaml").write_text(chosen, encoding="utf-8")
    entry = checkout / "data/sources/coco2014/dataset.yaml"
    text = entry.read_text(encoding="utf-8")
    entry.write_text(text.replace("mirror: null", f"mirror: {mirror}"), encoding="utf-8")


def stage(name: str) -> subprocess.CompletedProcess[str]:
    """Run a stage in the working directory, with short pauses between attempts."""
    return subprocess.run(
        [sys.executable, "-c", _IMPATIENT, f"stages.{name}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
