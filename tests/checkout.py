"""A copy of this checkout with small parameters, for tests that run DVC for real."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
Changes = Mapping[str, Mapping[str, Any]]
"""By file, what is changed in it, key by key; sections are changed in part."""

SMALL: Changes = {
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
    "precompute_tensors",
    "build_vocab",
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


def change(folder: Path, changes: Changes) -> None:
    for name, values in changes.items():
        content = yaml.safe_load((folder / name).read_text())
        for key, value in values.items():
            content[key] = content[key] | value if isinstance(value, dict) else value
        (folder / name).write_text(yaml.safe_dump(content))


def copy(folder: Path, wanted: Callable[[str], bool]) -> None:
    """Copy the files of this checkout that git tracks, or would, and that are ``wanted`` by their names."""
    names = run(ROOT, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    for name in filter(None, names):
        if (ROOT / name).is_file() and wanted(name):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)


def lay_out(folder: Path, changes: Changes) -> None:
    """Fill a folder: a repository with changed parameters, whose pipeline has not run."""
    copy(folder, lambda name: not name.startswith("metrics/") and name != "dvc.lock")
    change(folder, changes)
    run(folder, "git", "init", "--quiet")
    run(folder, "git", "add", "--all")
    run(folder, "git", "commit", "--quiet", "--message", "start")


def make_checkout(folder: Path, changes: Changes = SMALL) -> None:
    """Fill a folder: a repository with small parameters, by default of scenes, its pipeline run once."""
    lay_out(folder, changes)
    assert ran(run(folder, "dvc", "repro")) == STAGES
    run(folder, "git", "add", "--all")
    run(folder, "git", "commit", "--quiet", "--message", "first run")
