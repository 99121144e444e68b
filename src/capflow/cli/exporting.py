"""``capflow export``."""

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from capflow import project
from capflow.cli.app import app
from capflow.cli.named import NAMES, facts_of, folder_of
from capflow.errors import CapflowError

if TYPE_CHECKING:
    from capflow.facts import Facts


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(help="A new folder, or an empty one.")],
    model: Annotated[
        str | None,
        typer.Option(help=f"{NAMES}; none: data/model."),
    ] = None,
) -> None:
    """Write a folder with the model, how it is searched, and a model card; it needs this package alone."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CapflowError(f"{folder}: there is something already; name a new folder.")
    with tempfile.TemporaryDirectory() as temporary:
        _write(folder, *_chosen(model, Path(temporary)))
    typer.echo(str(folder))


def _chosen(model: str | None, temporary: Path) -> "tuple[Path, Facts]":
    """The model's folder, and what is on record about it."""
    from capflow import facts

    if model is None or Path(model).resolve() == _own():
        root = project.root()
        return root / project.MODEL, facts.in_checkout(root)
    folder = folder_of(model, temporary)
    return folder, facts_of(model, folder)


def _own() -> Path | None:
    """The checkout's data/model, where there is a checkout."""
    try:
        return (project.root() / project.MODEL).resolve()
    except CapflowError:
        return None


def _write(folder: Path, source: Path, facts: "Facts") -> None:
    import torch

    from capflow.card import card
    from capflow.facts import CARD
    from capflow.files import write_text
    from capflow.models.captioner import load_captioner
    from capflow.models.search import read_search, write_search
    from capflow.params import ELSEWHERE, load_params

    model, vocabulary = load_captioner(source, torch.device("cpu"))
    usual = load_params(project.root() / "params.yaml").generate if _own() else ELSEWHERE
    search = read_search(source) or usual
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("config.json", "vocab.json", "model.safetensors"):
        shutil.copyfile(source / name, folder / name)  # not as links into DVC's cache, which are read-only
    write_search(folder, search)
    weights = sum(tensor.numel() for tensor in model.state_dict().values())
    write_text(folder / CARD, card(model.config, weights, len(vocabulary), search, facts))
