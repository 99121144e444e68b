"""``capflow caption``, and how photographs are captioned from here."""

import json
import math
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from capflow import project
from capflow.cli.app import ConflictError, app
from capflow.cli.named import NAMES, folder_of, own
from capflow.errors import CapflowError, sentence

if TYPE_CHECKING:
    from capflow.data.pictures import Pixels
    from capflow.params import GenerateParams

# Photographs that are decoded before the first of them is captioned.
_AT_A_TIME = 64
# Which files of a folder are taken for photographs.
_ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff")


@app.command()
def caption(
    photos: Annotated[
        list[Path], typer.Argument(help="Pictures (JPEG, PNG, WebP, GIF, BMP, TIFF), or folders of them.")
    ],
    model: Annotated[
        list[str] | None,
        typer.Option(help=f"{NAMES}; several speak together; none: data/model."),
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
    from capflow.bars import bar
    from capflow.photographs import PhotoCaptioner

    _refuse_conflicts(beam, best, seed)
    chosen = [path for photo in photos for path in _pictures_of(photo)]
    with tempfile.TemporaryDirectory() as temporary:
        folders = [folder_of(name, Path(temporary)) for name in model or [own()]]
        captioner = PhotoCaptioner.load(*folders)
        write = captioner.writer(search_of(beam, best, seed, folders[0]))
    rows, unreadable = [], []
    # On a terminal captions are what moves; a bar is for those that wait for a file of them.
    starts = range(0, len(chosen), _AT_A_TIME)
    quiet = sys.stdout.isatty() and not as_json
    for start in starts if quiet else bar(starts, "captions", unit=f" x {_AT_A_TIME} photos"):
        read, problems = _read_pictures(chosen[start : start + _AT_A_TIME])
        written = captioner.best([pixels for _, pixels in read], write, best)
        for (path, _), captions in zip(read, written, strict=True):
            rows += [(str(path), text, log_p) for text, log_p in captions]
            if not as_json:
                place = "" if [path] == photos else f"{path}\t"
                typer.echo("\n".join(place + text for text, _ in captions))
        unreadable += problems
    if as_json:
        _print_json(rows)
    if unreadable:
        raise CapflowError("\n".join(unreadable))


def _refuse_conflicts(beam: int | None, best: int, seed: int | None) -> None:
    """Refuse options of which one would be ignored."""
    if seed is not None and beam is not None:
        raise ConflictError(
            "--seed draws captions at random, and --beam searches for the likeliest; give one of the two."
        )
    if beam is not None and beam < best:
        raise ConflictError(
            f"--beam {beam} finds {beam} captions at most, and --best {best} asks for more; give a --beam "
            f"of {best} or more, or none."
        )


def _pictures_of(photo: Path) -> list[Path]:
    """A picture, or those of a folder by name; what lies in folders below it is not taken."""
    if not photo.is_dir():
        return [photo]
    ending = (path for path in photo.iterdir() if path.name.lower().endswith(_ENDINGS))
    # A pipe would be waited for; a link to nowhere is to be told of.
    found = sorted(path for path in ending if path.is_file() or path.is_symlink())
    if not found:
        raise CapflowError(
            f"{photo}: no picture lies in this folder (a file that ends with {', '.join(_ENDINGS)})."
        )
    return found


def _print_json(rows: list[tuple[str, str, float]]) -> None:
    records = [{"image": image, "caption": text, "log_p": round(p, 4)} for image, text, p in rows]
    text = json.dumps(records, ensure_ascii=False, indent=2)
    # File names need not be UTF-8; JSON has escapes for what they are then.
    typer.echo(text.encode(errors="backslashreplace").decode())


def search_of(beam: int | None, best: int, seed: int | None, model: Path) -> "GenerateParams":
    """As the model folder says, or as the checkout's own captions are searched for, else usual settings."""
    from capflow.models.search import read_search
    from capflow.params import ELSEWHERE, GenerateParams, load_params
    from capflow.sections import parse

    path, usual = model / "search.json", read_search(model)
    if usual is None:
        try:
            path = project.root() / "params.yaml"
        except CapflowError:
            path, usual = Path("the usual settings"), ELSEWHERE
        else:
            usual = load_params(path).generate
    if seed is None:
        enough = math.ceil(best / usual.groups) * usual.groups
        asked = {"method": "beam", "beam": beam or max(usual.beam, enough)}
    else:
        asked = {"method": "sample", "seed": seed}
    # The training captions, which give hints, are not asked: they need not be here.
    return parse(usual.model_dump() | asked | {"hints": 0.0}, GenerateParams, path)


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
