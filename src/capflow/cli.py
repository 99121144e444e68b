"""The command line: ``capflow caption``, ``show``, ``score``, ``verify``, ``record`` and ``data status``.

PyTorch and the scorers take seconds to import, so each command imports what it needs when it runs.
"""

from capflow import interruption

interruption.ends_quietly()  # first of all: what follows takes a while

import json
import logging
import os
import shlex
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from capflow import project
from capflow.errors import CapflowError, sentence

if TYPE_CHECKING:
    from capflow.data.pictures import Pixels
    from capflow.params import GenerateParams
    from capflow.verify import Rotten

app = typer.Typer(
    help="Image captioning as a data-versioned pipeline.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

data_app = typer.Typer(help="What was fetched, and what was not.", no_args_is_help=True)
app.add_typer(data_app, name="data")


# Photographs that are decoded before the first of them is captioned.
_AT_A_TIME = 64


class SplitName(StrEnum):
    """The splits, as choices."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"


def main() -> None:
    """Run the command line; bad input ends in one sentence and exit code 1."""
    logging.basicConfig(format="%(levelname)s: %(message)s", stream=sys.stderr)
    try:
        app()
    except (CapflowError, OSError) as error:
        sys.exit(f"error: {sentence(error)}")


@app.command()
def caption(
    photos: Annotated[list[Path], typer.Argument(help="Pictures: JPEG, PNG, WebP, GIF, BMP, TIFF.")],
    model: Annotated[
        list[Path] | None, typer.Option(help="A model folder; several speak together; none: data/model.")
    ] = None,
    beam: Annotated[int | None, typer.Option(min=1, max=64, help="Width of the search; 1 is greedy.")] = None,
    best: Annotated[
        int, typer.Option(min=1, max=64, help="Up to so many captions of each picture, best first.")
    ] = 1,
    seed: Annotated[
        int | None, typer.Option(min=0, max=2**31 - 1, help="Draw captions at random, from this seed.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with log p of each caption.")] = False,
) -> None:
    """Caption photographs."""
    from capflow.photographs import PhotoCaptioner

    captioner = PhotoCaptioner.load(*(model or [project.root() / project.MODEL]))
    write = captioner.writer(_search(beam, best, seed))
    rows, unreadable = [], []
    for start in range(0, len(photos), _AT_A_TIME):
        chosen, problems = _read_pictures(photos[start : start + _AT_A_TIME])
        written = captioner.best([pixels for _, pixels in chosen], write, best)
        for (path, _), captions in zip(chosen, written, strict=True):
            rows += [(str(path), text, log_p) for text, log_p in captions]
            if not as_json:
                place = "" if len(photos) == 1 else f"{path}\t"
                typer.echo("\n".join(place + text for text, _ in captions))
        unreadable += problems
    if as_json:
        records = [{"image": image, "caption": text, "log_p": round(p, 4)} for image, text, p in rows]
        typer.echo(json.dumps(records, ensure_ascii=False, indent=2))
    if unreadable:
        raise CapflowError(" ".join(unreadable))


def _search(beam: int | None, best: int, seed: int | None) -> "GenerateParams":
    """As the checkout's own captions are searched for; a model folder elsewhere gets usual settings."""
    from capflow.params import ELSEWHERE, GenerateParams, load_params
    from capflow.sections import parse

    try:
        path = project.root() / "params.yaml"
    except CapflowError:
        path, usual = Path("the usual settings"), ELSEWHERE
    else:
        usual = load_params(path).generate
    if seed is None:
        asked = {"method": "beam", "beam": max(beam or usual.beam, best)}
    else:
        asked = {"method": "sample", "seed": seed}
    return parse(usual.model_dump() | asked, GenerateParams, path)


def _read_pictures(photos: list[Path]) -> "tuple[list[tuple[Path, Pixels]], list[str]]":
    """The pictures that can be read, and a sentence for each one that cannot."""
    from capflow.data.pictures import decode

    readable, unreadable = [], []
    for path in photos:
        try:
            readable.append((path, decode(path.read_bytes(), str(path))))
        except (CapflowError, OSError) as error:
            unreadable.append(sentence(error))
    return readable, unreadable


@app.command()
def show(
    split: Annotated[SplitName, typer.Argument(help="Which pictures.")] = SplitName.VAL,
    count: Annotated[int, typer.Option(min=1, max=100, help="How many, drawn at random.")] = 9,
    seed: Annotated[int, typer.Option(min=0, help="Another seed draws others.")] = 0,
    predictions: Annotated[bool, typer.Option("--predictions", help="Show generated captions.")] = False,
    attention: Annotated[
        Path | None, typer.Option(metavar="PHOTO", help="Show where the model looks in this picture instead.")
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="For --attention, a model folder; by default data/model.")
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="The PNG to write.")] = Path("show.png"),
) -> None:
    """Draw a grid of pictures with their captions, or of one picture with the words of its caption."""
    from capflow.evaluation.showing import draw_split
    from capflow.files import write_bytes

    if model and not attention:
        raise CapflowError("--model: only --attention asks a model; name a picture with it.")
    if attention:
        drawn = _attention(attention, model)
    else:
        drawn = draw_split(project.root(), split.value, count, seed, predictions=predictions)
    write_bytes(output, drawn)
    typer.echo(str(output))


def _attention(photo: Path, model: Path | None) -> bytes:
    """A PNG of a photograph, once more for each word of its caption."""
    from capflow.data.pictures import decode
    from capflow.evaluation.overlays import View
    from capflow.evaluation.showing import draw_words
    from capflow.models.gaze import view
    from capflow.photographs import PhotoCaptioner

    pixels = decode(photo.read_bytes(), str(photo))
    captioner = PhotoCaptioner.load(model or project.root() / project.MODEL)
    search = _search(beam=None, best=1, seed=None)
    return draw_words(pixels, View(**view(captioner.models[0])), *captioner.gaze(pixels, search))


@app.command()
def score(
    references: Annotated[Path, typer.Argument(help="COCO captions JSON.")],
    results: Annotated[Path, typer.Argument(help="COCO results JSON: a list of image_id and caption.")],
) -> None:
    """Score captions as the COCO evaluation does; the seven scores as JSON on stdout."""
    from capflow.evaluation import scores
    from capflow.evaluation.results import read_references, read_results

    scored = scores.score(read_references(references), read_results(results))
    typer.echo(json.dumps(scored.totals, indent=2))
    for name, reason in scored.absent.items():
        typer.echo(f"warning: {name} is absent: {reason}", err=True)


@app.command()
def verify(
    paths: Annotated[list[Path] | None, typer.Argument(help="Files or folders; none: everything.")] = None,
) -> None:
    """Check artifacts, DVC's cache and what was fetched against their recorded digests.

    The exit code is 1 if a file is not as recorded, or if what you named is not here.
    """
    from tqdm import tqdm

    from capflow import verify as records

    root = project.root()
    outs = records.files_by_output(root, project.downloads(), paths or [])
    # What was fetched may be thrown away again, and is not missed if nobody asks for it.
    absent = [out.path for out, files in outs.items() if not files and (paths or out.algorithm == "md5")]
    _say_what_is_not_checked(absent, locked=(root / "dvc.lock").exists())
    everything = [file for files in outs.values() for file in files]
    rotten = records.check(
        everything, lambda items, total: tqdm(items, "verify", total, unit="file", disable=None)
    )
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


@app.command()
def record() -> None:
    """Send MLflow what it did not take while work was done.

    The exit code is 1 if anything is left that was to go where MLFLOW_TRACKING_URI points.
    """
    from capflow.record.journal import journals, waiting
    from capflow.record.sending import send_all
    from capflow.tracking import Store, address

    places = {journal.address() for journal in journals(project.record())} - {address()}
    for place in sorted(places):
        typer.echo(
            f"not sent: what waits for {place or 'the store at the root'}; choose that with "
            "MLFLOW_TRACKING_URI",
            err=True,
        )
    here = waiting(project.record())
    left = send_all(project.record(), Store()) if here else []
    typer.echo(f"{len(here) - len(left)} of {len(here)} records are sent")
    if left:
        raise typer.Exit(1)


@data_app.command()
def status() -> None:
    """Show what the download store has of each server, what is missing, and why."""
    from capflow.data import manifest

    typer.echo(manifest.summary(manifest.read(project.downloads()).values()))
