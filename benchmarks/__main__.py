"""Run every benchmark, each in a process of its own, and put their rows into docs/performance.md."""

import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.page import write_table
from benchmarks.report import machine

FOLDER = Path(__file__).parent
HEAD = "| row | work | result | goal | |\n|---|---|---|---|---|\n"


def main() -> None:
    """Run them and write the table."""
    rows: list[str] = []
    start = time.monotonic()
    for path in sorted(FOLDER.glob("[a-z]*.py")):
        if "def main()" in path.read_text() and path.stem != "gpu":
            print(f"== {path.stem}, after {time.monotonic() - start:.0f} s", flush=True)
            rows += run(f"benchmarks.{path.stem}")
    rows.sort(key=lambda line: int(line.split("|")[1]))
    moment, minutes = datetime.now(UTC).date().isoformat(), (time.monotonic() - start) / 60
    about = f"`make bench` of {commit()}, {moment}, {minutes:.0f} minutes on {machine()}"
    write_table("table", f"{about}:\n\n{HEAD}{''.join(rows)}")
    if any(line.startswith("| 0 |") for line in rows):
        sys.exit("some benchmarks did not run; the table says which")


def commit() -> str:
    """Which code is measured."""
    command = ["git", "describe", "--always", "--dirty"]
    told = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, check=True)  # noqa: S603
    return told.stdout.strip()


def run(module: str) -> list[str]:
    """The rows that a benchmark prints; all else goes to the screen, too."""
    rows = []
    with subprocess.Popen(  # noqa: S603 - our own files
        [sys.executable, "-m", module], stdout=subprocess.PIPE, text=True
    ) as process:
        for line in process.stdout or ():
            print(line, end="", flush=True)
            if line.startswith("| "):
                rows.append(line)
    if process.returncode:
        rows.append(f"| 0 | {module} | did not run | | **missed** |\n")
        print(rows[-1], end="", flush=True)
    return rows


main()
