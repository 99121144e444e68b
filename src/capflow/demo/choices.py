"""Which models the page offers: those of the checkout, and those of the finished runs in its MLflow store."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from capflow import facts, project, tracking
from capflow.errors import CapflowError
from capflow.facts import Facts
from capflow.files import read_json

_KNOWS = {
    "scenes": "This model knows generated scenes of coloured shapes and nothing else: whatever it says of a "
    "photograph is made up of those.",
    "folder": "This model has learnt from a folder of somebody's own photographs, and knows only what "
    "these show.",
    "": "This model has learnt from the data set {data}, and knows only what its pictures show.",
}


class Offer(NamedTuple):
    """A model to choose: what it is called, and what it has learnt from."""

    name: str
    hint: str


def models_of(root: Path) -> dict[str, Offer]:
    """``data/model``, the folders of ``data/ensemble``, and the models of finished runs, the latest first.

    Returns:
        What there is to tell of each model folder.

    Raises:
        CapflowError: there is none, or MLflow's store cannot be read.
    """
    found = _named(root, [root / project.MODEL, *sorted((root / project.ENSEMBLE).glob("*"))])
    found |= _of_runs(root)
    if not found:
        raise CapflowError(f"{root / project.MODEL}: there is no model yet; `make repro` trains one.")
    return found


def offered(models: Iterable[tuple[str, Path, Facts]]) -> dict[str, Offer]:
    """What there is to tell of models that somebody named: by the names, of the folders, from the facts."""
    return {str(folder): _offer(name, folder, known) for name, folder, known in models}


def _named(root: Path, folders: Sequence[Path]) -> dict[str, Offer]:
    whole = (folder for folder in folders if _whole(folder))
    return {
        str(folder): _offer(folder.relative_to(root).as_posix(), folder, _known(root, folder))
        for folder in whole
    }


def _known(root: Path, folder: Path) -> Facts:
    """What is on record about a model of the checkout."""
    if folder != root / project.MODEL:
        return facts.in_card(folder)
    try:
        return facts.in_checkout(root)
    except CapflowError:  # another model than that of dvc.lock lies there, or there is no dvc.lock
        return Facts()


def _of_runs(root: Path) -> dict[str, Offer]:
    """Those of the store at the root; what a server keeps is not on this machine."""
    uri = tracking.tracking_uri()
    if tracking.is_service() or not Path(uri.removeprefix("sqlite:///")).is_file():
        return {}
    return {
        str(folder): _offer(f"run {run.tags.get('mlflow.runName', run.run)}", folder, facts.of_run(root, run))
        for run, folder in tracking.Store().finished()
        if _whole(folder)
    }


def _whole(folder: Path) -> bool:
    return (folder / "model.safetensors").is_file()


def _offer(name: str, folder: Path, known: Facts) -> Offer:
    """What tells a model from others: its name, its decoder, its learning rate, its score."""
    told = [read_json(folder / "config.json")["decoder"]["name"]]
    told += [f"learning rate {known.rate}"] if known.rate else []
    if "CIDEr" in known.scores:
        told.append(f"CIDEr {known.scores['CIDEr']:.2f} on {known.split or 'its test'}")
    return Offer(f"{name}: {', '.join(told)}", _hint(known))


def _hint(known: Facts) -> str:
    """One line on what to expect of a model."""
    if not known.data:
        return "What this model has learnt from is not on record."
    return _KNOWS.get(known.kind, _KNOWS[""]).format(data=known.data)
