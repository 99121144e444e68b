"""A copy of this checkout with shrunken scenes, for tests that run DVC for real."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
SMALL: dict[str, dict[str, Any]] = {
    "params.yaml": {
        "tensors": {"size": 32},
        "decoder": {"embedding": 16, "hidden": 24},
        "train": {"epochs": 2, "batch_size": 50, "log_every": 2},
        "generate": {"batch_size": 8},
    },
    "data/sources/scenes/dataset.yaml": {"train": 40, "val": 10, "test": 20, "size": 48},
}
STAGES = [
    "download_annotations",
    "download_images",
    "build_vocab",
    "precompute_tensors",
    "download_encoder",
    "extract_features",
    "train",
    "generate_captions",
    "evaluate",
]


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "MLFLOW_"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
    identity = {
        f"GIT_{who}_{what}": "test@example.org"
        for who in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    return kept | identity | {"PATH": path, "DVC_NO_ANALYTICS": "true", "MLFLOW_DISABLE_TELEMETRY": "true"}


def run(folder: Path, *command: str, fails: bool = False) -> str:
    """Run a command; its stdout and stderr together."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=400,
    )
    assert (done.returncode != 0) is fails, done.stdout
    return done.stdout


def ran(output: str) -> list[str]:
    """The stages that DVC ran."""
    return re.findall(r"Running stage '(\w+)'", output)


def shrink(folder: Path) -> None:
    for name, changes in SMALL.items():
        content = yaml.safe_load((folder / name).read_text())
        for key, value in changes.items():
            content[key] = content[key] | value if isinstance(value, dict) else value
        (folder / name).write_text(yaml.safe_dump(content))


def make_checkout(folder: Path) -> None:
    """Fill a folder: a repository with small parameters, its pipeline run once."""
    names = run(ROOT, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    for name in filter(None, names):
        if (ROOT / name).is_file() and not name.startswith("metrics/") and name != "dvc.lock":
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    shrink(folder)
    run(folder, "git", "init", "--quiet")
    run(folder, "git", "add", "--all")
    run(folder, "git", "commit", "--quiet", "--message", "start")
    assert ran(run(folder, "dvc", "repro")) == STAGES
    run(folder, "git", "add", "--all")
    run(folder, "git", "commit", "--quiet", "--message", "first run")
