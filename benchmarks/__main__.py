"""Run every benchmark, each in a process of its own, and put their rows into docs/performance.md."""

import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.report import machine

FOLDER = Path(__file__).parent
PAGE = FOLDER.parent / "docs/performance.md"
HEAD = "| row | work | result | goal | |\n|---|---|---|---|---|\n"


def main() -> None:
    """Run them and write the table."""
    rows: list[str] = []
    for path in sorted(FOLDER.glob("[a-z]*.py")):
        if "def main()" in path.read_text():
            print(f"== {path.stem}", flush=True)
            rows += run(f"benchmarks.{path.stem}")
    rows.sort(key=lambda line: int(line.split("|")[1]))
    moment = datetime.now(UTC).date().isoformat()
    table = f"`make bench`, {moment}, {machine()}:\n\n{HEAD}{''.join(rows)}"
    text = PAGE.read_text(encoding="utf-8")
    marked = re.compile("(?<=<!-- table -->\n).*(?=<!-- end of table -->)", re.DOTALL)
    PAGE.write_text(marked.sub(lambda _: table, text), encoding="utf-8")


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
    return rows


main()
