"""What all benchmarks share: alternating measurements, equal results, and the rows of docs/performance.md.

A benchmark prints what it finds, and a row of the table for each goal. `python -m benchmarks` runs them all
and puts the rows together.
"""

import os
import platform
import sys
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path

PACKAGES = ["torch", "torchvision", "numpy", "pillow", "simplejpeg", "nltk", "pycocoevalcap", "mlflow", "dvc"]

Work = Callable[[], object]


def fastest(ways: Mapping[str, Work], rounds: int) -> dict[str, float]:
    """The least seconds that each way took, all of them in turn, ``rounds`` times after one for warmth.

    The turn goes back and forth, so that no way always comes after the same other one.
    """
    best = dict.fromkeys(ways, float("inf"))
    order = list(ways.items())
    for number in range(rounds + 1):
        for name, work in order:
            start = time.perf_counter()
            work()
            if number:
                best[name] = min(best[name], time.perf_counter() - start)
        order.reverse()
    return best


def shown(best: Mapping[str, float], units: float = 1.0) -> str:
    """Seconds by name, in units of which a second has so many."""
    return ", ".join(f"{name} {seconds * units:,.4g}" for name, seconds in best.items())


def require(equal: bool, complaint: str) -> None:
    """End the benchmark where results that must be equal are not: a speed that changes them is none.

    Raises:
        SystemExit: with ``complaint``, which says what differs from what.
    """
    if not equal:
        sys.exit(f"error: {complaint}")


def environment() -> dict[str, str]:
    """The environment for programs, without what would lead DVC or MLflow out of a benchmark's own folder."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "MLFLOW_"))}


def row(number: int, work: str, result: str, goal: str, *, met: bool) -> None:
    """Print a row of the table of docs/performance.md."""
    print(f"| {number} | {work} | {result} | {goal} | {'met' if met else '**missed**'} |", flush=True)


def machine() -> str:
    """What was measured on, in words."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    model = models[0] if models else platform.machine()
    return f"{os.cpu_count()} cores of {model}, Python {platform.python_version()}, {packages}"
