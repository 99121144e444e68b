"""The command line: ``capflow caption``, ``capflow show``, ``capflow score``, ``capflow data status``.

PyTorch and the scorers take seconds to import, so each command imports what it needs when it runs.
"""

import json
import logging
import random
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from capflow import project
from capflow.errors import CapflowError

if TYPE_CHECKING:
    from capflow.data.pictures import Pixels

app = typer.Typer(
    help="Image captioning as a data-versioned pipeline.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

data_app = typer.Typer(help="What was fetched, and what was not.", no_args_is_help=True)
app.add_typer(data_app, name="data")


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
    except CapflowError as error:
        sys.exit(f"error: {error}")


@app.command()
def caption(
    photos: Annotated[list[Path], typer.Argument(help="Pictures: JPEG, PNG, whatever Pillow reads.")],
    model: Annotated[Path, typer.Option(help="A model folder.")] = project.MODEL,
    beam: Annotated[int, typer.Option(min=1, max=64, help="Width of the search; 1 is greedy.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with log p of each caption.")] = False,
) -> None:
    """Caption photographs."""
    from capflow.params import GenerateParams
    from capflow.photographs import PhotoCaptioner

    captioner = PhotoCaptioner.load(model)
    readable, unreadable = _read_pictures(photos)
    search = GenerateParams(splits=("test",), beam=beam, max_length=30, length_penalty=0.0, batch_size=64)
    results = captioner(list(readable.values()), search)
    if as_json:
        rows = [
            {"image": str(path), "caption": text, "log_p": round(score, 4)}
            for path, (text, score) in zip(readable, results, strict=True)
        ]
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=2))
    else:
        for path, (text, _) in zip(readable, results, strict=True):
            typer.echo(text if len(photos) == 1 else f"{path}\t{text}")
    if unreadable:
        raise CapflowError(" ".join(unreadable))


def _read_pictures(photos: list[Path]) -> "tuple[dict[Path, Pixels], list[str]]":
    """The pictures that can be read, and a sentence for each one that cannot."""
    from capflow.data.pictures import decode

    readable, unreadable = {}, []
    for path in photos:
        try:
            readable[path] = decode(path.read_bytes(), str(path))
        except CapflowError as error:
            unreadable.append(str(error))
        except OSError as error:
            unreadable.append(f"{path}: cannot be opened ({error.strerror}).")
    return readable, unreadable


@app.command()
def show(
    split: Annotated[SplitName, typer.Argument(help="Which pictures.")] = SplitName.VAL,
    count: Annotated[int, typer.Option(min=1, max=100, help="How many, drawn at random.")] = 9,
    seed: Annotated[int, typer.Option(min=0, help="Another seed draws others.")] = 0,
    predictions: Annotated[bool, typer.Option("--predictions", help="Show generated captions.")] = False,
    output: Annotated[Path, typer.Option("--output", "-o", help="The PNG to write.")] = Path("show.png"),
) -> None:
    """Draw a grid of pictures with their captions."""
    from capflow.data import annotations
    from capflow.data.archives import pictures_in
    from capflow.data.pictures import decode
    from capflow.evaluation.grid import draw_grid
    from capflow.evaluation.scores import read_results
    from capflow.files import write_bytes

    part = annotations.read(project.ANNOTATIONS / f"{split}.json")
    captions = part.captions_of()
    if predictions:
        generated = read_results(project.PREDICTIONS / f"{split}.json")
        captions = {image: [caption] for image, caption in generated.items()}
    with pictures_in(project.IMAGES / f"{split}.zip") as pictures:
        known = [image for image in part.images if image["file_name"] in pictures and image["id"] in captions]
        if not known:
            raise CapflowError(
                f"{project.IMAGES / f'{split}.zip'}: {split} has no pictures to show; try val."
            )
        chosen = random.Random(seed).sample(known, min(count, len(known)))
        cells = [
            (decode(pictures[image["file_name"]](), image["file_name"]), captions[image["id"]])
            for image in chosen
        ]
    write_bytes(output, draw_grid(cells, columns=min(3, len(cells))))
    typer.echo(str(output))


@app.command()
def score(
    references: Annotated[Path, typer.Argument(help="COCO captions JSON.")],
    results: Annotated[Path, typer.Argument(help="COCO results JSON: a list of image_id and caption.")],
) -> None:
    """Score captions as the COCO evaluation does; the seven scores as JSON on stdout."""
    from capflow.evaluation import scores

    scored = scores.score(scores.read_references(references), scores.read_results(results))
    typer.echo(json.dumps(scored.totals, indent=2))
    for name, reason in scored.absent.items():
        typer.echo(f"warning: {name} is absent: {reason}", err=True)


@data_app.command()
def status() -> None:
    """Show what the download store has of each server, what is missing, and why."""
    from capflow.data import manifest

    typer.echo(manifest.summary(manifest.read(project.downloads()).values()))
