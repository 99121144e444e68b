"""What DVC and start-up cost beside the work itself, on scenes so few that training takes a second.

A clone with a small data set is reproduced once. Then `dvc exp run -S train.lr=...` is compared with its
three stages run by hand, and a reproduction without a change, the help and a wrong parameter are timed.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from benchmarks.report import environment, row

ROOT = Path(__file__).parents[1]
TRIED = 2
STAGES = ("train", "generate_captions", "evaluate")


def main() -> None:
    """Prepare the clone, time each command, and print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "capflow"
        prepare(folder)
        change = timed(folder, "dvc", "exp", "run", "-S", "train.lr=0.001")
        alone = {stage: timed(folder, sys.executable, "-m", f"stages.{stage}") for stage in STAGES}
        idle = fastest(folder, "dvc", "repro", told="up to date")
        usage = fastest(folder, "capflow", "--help")
        (folder / "params.yaml").write_text((folder / "params.yaml").read_text().replace("lr:", "rate:"))
        wrong = fastest(folder, sys.executable, "-m", "stages.train", code=1)
    by_hand = sum(alone.values())
    print(", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in alone.items()))
    found = f"{change:.1f} s; its three stages by hand {by_hand:.1f} s"
    row(12, "dvc exp run -S train.lr=... on tiny scenes", found, "listed", met=True)
    row(12, "dvc repro without a change", f"{idle:.2f} s", "<= 2 s", met=idle <= 2)
    row(12, "capflow --help", f"{usage:.2f} s", "<= 0.4 s", met=usage <= 0.4)
    row(12, "a wrong parameter (stages.train)", f"{wrong:.2f} s", "listed", met=True)


def prepare(folder: Path) -> None:
    """A clone of the last commit with few scenes, reproduced and committed."""
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)  # noqa: S603, S607
    edit(folder / "data/sources/scenes/dataset.yaml", train=40, val=10, test=10)
    edit(folder / "params.yaml", train={"epochs": 1}, decoder={"hidden": 16, "embedding": 16})
    for command in ("dvc repro", "git add --all", "git commit --quiet --message small"):
        timed(folder, *command.split())


def edit(path: Path, **changes: object) -> None:
    """Change keys of a YAML file, those of sections one by one."""
    content = yaml.safe_load(path.read_text())
    for key, value in changes.items():
        content[key] = content[key] | value if isinstance(value, dict) else value
    path.write_text(yaml.safe_dump(content))


def fastest(folder: Path, *command: str, code: int = 0, told: str = "") -> float:
    """The least seconds of several runs."""
    return min(timed(folder, *command, code=code, told=told) for _ in range(TRIED))


def timed(folder: Path, *command: str, code: int = 0, told: str = "") -> float:
    """The seconds that a command takes, which has to end with ``code`` and to tell ``told``."""
    kept = environment()
    person = {
        f"GIT_{who}_{what}": "bench@example.org"
        for who in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
    settings = {"PATH": path, "DVC_NO_ANALYTICS": "true", "MLFLOW_DISABLE_TELEMETRY": "true"}
    start = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=kept | person | settings, capture_output=True, text=True)  # noqa: S603
    if done.returncode != code or told not in done.stdout:
        sys.exit(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
