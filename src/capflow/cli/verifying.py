"""``capflow verify``."""

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from capflow import project
from capflow.cli.app import app
from capflow.errors import CapflowError

if TYPE_CHECKING:
    from capflow.verify import Rotten


@app.command()
def verify(
    paths: Annotated[list[Path] | None, typer.Argument(help="Files or folders; none: everything.")] = None,
) -> None:
    """Check artifacts, DVC's cache and what was fetched against their recorded digests.

    The exit code is 1 if a file is not as recorded, or if what you named is not here.
    """
    from capflow import verify as records
    from capflow.bars import bar

    root = project.root()
    outs = records.files_by_output(root, project.downloads(), paths or [])
    # What was fetched may be thrown away again, and is not missed if nobody asks for it.
    absent = [out.path for out, files in outs.items() if not files and (paths or out.algorithm == "md5")]
    _say_what_is_not_checked(absent, locked=(root / "dvc.lock").exists())
    everything = [file for files in outs.values() for file in files]
    rotten = records.check(everything, lambda items, total: bar(items, "verify", total, "file"))
    if rotten:
        raise CapflowError(_rotten_sentence(rotten))
    typer.echo(f"{len(everything)} files of {sum(map(bool, outs.values()))} artifacts are as recorded")
    if paths and absent:
        raise typer.Exit(1)


def _say_what_is_not_checked(absent: list[Path], *, locked: bool) -> None:
    for path in absent:
        typer.echo(
            f"not checked: {_nearby(path)}, for it is not here; `dvc pull` or `dvc repro` brings it", err=True
        )
    if not locked:
        typer.echo("not checked: the artifacts, for `dvc repro` has written no dvc.lock yet", err=True)


def _rotten_sentence(rotten: "list[Rotten]") -> str:
    """Which files are not what they should be, a line each, and how to get the right ones back."""
    lines = [
        f"{_nearby(file.path)}: {file.algorithm} {found}, but {file.digest} was recorded"
        for file, found in rotten
    ]
    doomed = dict.fromkeys(
        _nearby(file.artifact if file.path.is_relative_to(file.artifact) else file.path) for file, _ in rotten
    )
    return (
        f"{len(rotten)} files are not as recorded:\n  "
        + "\n  ".join(lines)
        + f"\nto bring them back: rm -rf {shlex.join(doomed)}"
        + "\nthen `dvc pull`, or `dvc repro` where there is no remote"
    )


def _nearby(path: Path) -> str:
    """A path as one would type it here."""
    return os.path.relpath(path)
