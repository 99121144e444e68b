"""Models as one names them: by a folder, or by an address of MLflow's."""

import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from capflow import project
from capflow.errors import CapflowError

if TYPE_CHECKING:
    from capflow.facts import Facts

NAMES = "A folder, runs:/<id>/model or models:/capflow@champion"
"""What an option of models takes, for its help."""

_ADDRESS = re.compile(r"runs:/[^/]+/.+|models:/(m-\w+|[^/@]+[/@][^/@]+)")


def own() -> str:
    """The checkout's data/model.

    Raises:
        CapflowError: this is no checkout.
    """
    try:
        return str(project.root() / project.MODEL)
    except CapflowError as error:
        raise CapflowError(f"{str(error).removesuffix('.')}, or name a model with --model.") from None


def folder_of(name: str, temporary: Path) -> Path:
    """A model's folder, fetched into one below ``temporary`` if it has an address of MLflow's.

    Raises:
        CapflowError: MLflow does not answer, or there is no such model.
    """
    if not _is_address(name):
        return Path(name)
    if not _ADDRESS.fullmatch(name):
        raise CapflowError(
            f"{name}: no address of a model; write runs:/<id>/model or models:/capflow@champion, or a folder."
        )
    from capflow.tracking.models import fetch

    return fetch(name, Path(tempfile.mkdtemp(dir=temporary)))


def facts_of(name: str, folder: Path) -> "Facts":
    """What MLflow has on record about a model with an address, or else what its folder's card says."""
    from capflow import facts

    if not _is_address(name):
        return facts.in_card(folder)
    from capflow.tracking import Store, models

    store = Store()
    run = models.run_of(store, name)
    return facts.of_run(project.root(), store.row(run)) if run else facts.Facts()


def _is_address(name: str) -> bool:
    return name.startswith(("runs:", "models:"))
