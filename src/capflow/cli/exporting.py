"""``capflow export``."""

import shutil
from pathlib import Path
from typing import Annotated

import typer

from capflow import project
from capflow.cli.app import app
from capflow.errors import CapflowError


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(help="A new folder, or an empty one.")],
) -> None:
    """Write a folder with the model, how it is searched, and a model card; it needs this package alone."""
    import torch

    from capflow.card import card, facts_of
    from capflow.files import write_text
    from capflow.models.captioner import load_captioner
    from capflow.models.search import write_search
    from capflow.params import load_params

    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CapflowError(f"{folder}: there is something already; name a new folder.")
    root = project.root()
    source = root / project.MODEL
    model, vocabulary = load_captioner(source, torch.device("cpu"))
    facts = facts_of(root)
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("config.json", "vocab.json", "model.safetensors"):
        shutil.copyfile(source / name, folder / name)  # not as links into DVC's cache, which are read-only
    search = load_params(root / "params.yaml").generate
    write_search(folder, search)
    weights = sum(tensor.numel() for tensor in model.state_dict().values())
    write_text(folder / "README.md", card(model.config, weights, len(vocabulary), search, facts))
    typer.echo(str(folder))
