"""``capflow show``."""

import tempfile
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from capflow import project
from capflow.cli.app import ConflictError, app, given, to_write
from capflow.cli.captioning import search_of
from capflow.cli.named import NAMES, folder_of, own


class SplitName(StrEnum):
    """The splits, as choices."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"


@app.command()
def show(
    context: typer.Context,
    split: Annotated[SplitName, typer.Argument(help="Which pictures.")] = SplitName.VAL,
    count: Annotated[int, typer.Option(min=1, max=100, help="How many, drawn at random.")] = 9,
    seed: Annotated[int, typer.Option(min=0, help="Another seed draws others.")] = 0,
    predictions: Annotated[bool, typer.Option("--predictions", help="Show generated captions.")] = False,
    attention: Annotated[
        Path | None, typer.Option(metavar="PHOTO", help="Show where the model looks in this picture instead.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help=f"For --attention: {NAMES[0].lower()}{NAMES[1:]}; none: data/model.")
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", callback=to_write, help="The PNG to write.")
    ] = Path("show.png"),
) -> None:
    """Draw a grid of pictures with their captions, or of one picture with the words of its caption."""
    from capflow.evaluation.showing import draw_split
    from capflow.files import write_bytes

    if model and not attention:
        raise ConflictError("--model: only --attention asks a model; name a picture with it.")
    if attention and (others := given(context, "split", "count", "seed", "predictions")):
        raise ConflictError(
            f"--attention shows one photograph, and {others} would choose pictures of a split; give one or "
            "the other."
        )
    if attention:
        drawn = _attention(attention, model)
    else:
        drawn = draw_split(project.root(), split.value, count, seed, predictions=predictions)
    write_bytes(output, drawn)
    typer.echo(str(output))


def _attention(photo: Path, model: str | None) -> bytes:
    """A PNG of a photograph, once more for each word of its caption."""
    from capflow.data.pictures import decode
    from capflow.evaluation.overlays import View
    from capflow.evaluation.showing import draw_words
    from capflow.models.gaze import view
    from capflow.photographs import PhotoCaptioner

    pixels = decode(photo.read_bytes(), str(photo))
    with tempfile.TemporaryDirectory() as temporary:
        folder = folder_of(model or own(), Path(temporary))
        captioner = PhotoCaptioner.load(folder)
        search = search_of(beam=None, best=1, seed=None, model=folder)
    return draw_words(pixels, View(**view(captioner.models[0])), *captioner.gaze(pixels, search))
