"""What a run is told of where it comes from: parameters, data, the DVC experiment, the commit."""

import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from capflow import project
from capflow.params import Params
from capflow.tracking import Input

_SEARCH_SECTIONS = ("generate.", "evaluate.")
_CODE = ("src", "stages", "dvc.yaml")


def run_name() -> str:
    """What DVC calls the experiment, else the time: MLflow's names depend on our seed."""
    return os.environ.get("DVC_EXP_NAME") or time.strftime("%Y-%m-%d %H:%M:%S")


def origin() -> dict[str, str]:
    """Which DVC experiment this is, as DVC tells it, which commit, and what of its code was changed."""
    names = {"DVC_EXP_NAME": "dvc.experiment", "DVC_EXP_BASELINE_REV": "dvc.baseline"}
    told = {tag: os.environ[name] for name, tag in names.items() if os.environ.get(name)}
    commit = told.get("dvc.baseline") or _git("rev-parse", "HEAD")
    if commit:
        told["mlflow.source.git.commit"] = commit
        told["git.changed"] = " ".join(_git("diff", "--name-only", "HEAD", "--", *_CODE).split()) or "nothing"
    return told


def _git(*words: str) -> str:
    """What git says; nothing, where this is no checkout or there is no git."""
    with suppress(OSError):
        command = ["git", *words]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()  # noqa: S603
    return ""


def flatten(params: Params, *, search: bool) -> dict[str, str]:
    """Parameters by dotted name, as MLflow has them: those of search and scores, or all others."""
    flat = dict(_leaves(params.model_dump()))
    return {key: str(value) for key, value in flat.items() if key.startswith(_SEARCH_SECTIONS) is search}


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def digests() -> dict[str, str]:
    """The digests of what training read, as parameters, which the table of runs can show side by side."""
    return {f"digest.{path.name}": md5 for path, md5 in _read_by_training().items()}


def inputs(params: Params) -> list[Input]:
    """The same as MLflow's data sets."""
    return [
        Input(f"{params.data.name}.{path.name}", md5, path.as_posix(), "training")
        for path, md5 in _read_by_training().items()
    ]


def _read_by_training() -> dict[Path, str]:
    """The artifacts that training read, with their digests as DVC recorded them when they were made.

    In ``dvc.lock`` the outputs of the earlier stages are fresh while a stage runs; its own inputs
    are still those of the last time.
    """
    try:
        lock = yaml.safe_load(Path("dvc.lock").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    outs = [out for stage in lock.get("stages", {}).values() for out in stage.get("outs", [])]
    read = {str(path) for path in (project.VOCAB, project.TENSORS, project.FEATURES)}
    return {Path(out["path"]): out["md5"] for out in outs if out["path"] in read}
