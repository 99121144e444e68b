"""Which models the page offers: those of the checkout, and those of the finished runs in its MLflow store."""

from pathlib import Path

from capflow import project, tracking
from capflow.errors import CapflowError


def models_of(root: Path) -> dict[str, str]:
    """``data/model``, the folders of ``data/ensemble``, and the models of finished runs, the latest first.

    Returns:
        What each model folder is to be called.

    Raises:
        CapflowError: there is none, or MLflow's store cannot be read.
    """
    folders = [root / project.MODEL, *sorted((root / project.ENSEMBLE).glob("*"))]
    found = {str(folder): folder.relative_to(root).as_posix() for folder in folders if _whole(folder)}
    found |= _of_runs()
    if not found:
        raise CapflowError(f"{root / project.MODEL}: there is no model yet; `make repro` trains one.")
    return found


def _of_runs() -> dict[str, str]:
    """Those of the store at the root; what a server keeps is not on this machine."""
    uri = tracking.tracking_uri()
    if tracking.is_service() or not Path(uri.removeprefix("sqlite:///")).is_file():
        return {}
    runs = tracking.Store().finished()
    return {str(folder): _called(run) for run, folder in runs if _whole(folder)}


def _whole(folder: Path) -> bool:
    return (folder / "model.safetensors").is_file()


def _called(run: tracking.Row) -> str:
    """What tells a run from others: its name, its decoder, its learning rate, its score."""
    told = [f"{run.params.get('decoder.name')}", f"learning rate {run.params.get('train.lr')}"]
    if "CIDEr" in run.metrics:
        told.append(f"CIDEr {run.metrics['CIDEr']:.2f}")
    return f"run {run.tags.get('mlflow.runName', run.run)}: {', '.join(told)}"
