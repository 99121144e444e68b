"""Where things are: the repository root, the store outside the DAG, and the artifacts.

Artifacts are relative to the working directory, because DVC runs queued and temporary experiments
in a copy of the repository. The store is at the *real* root, which DVC names in ``DVC_ROOT`` even
then; so downloads and checkpoints are shared by all experiments and survive the copies.
"""

import os
from pathlib import Path

from capflow.errors import CapflowError

SOURCES = Path("data/sources")
ANNOTATIONS = Path("data/annotations")
IMAGES = Path("data/images")
VOCAB = Path("data/vocab")
TENSORS = Path("data/tensors")
ENCODER = Path("data/encoder")
FEATURES = Path("data/features")
MODEL = Path("data/model")
WEIGHTS = Path("data/weights")
ENSEMBLE = Path("data/ensemble")
PREDICTIONS = Path("data/predictions")
METRICS = Path("metrics")
# Which pictures are left out: those that cannot be had, and those that turn out to be damaged.
MISSING, DAMAGED = METRICS / "missing.csv", METRICS / "damaged.csv"


def root() -> Path:
    """The real repository root: ``DVC_ROOT`` inside a stage, else the nearest folder with a dvc.yaml.

    Raises:
        CapflowError: neither is there.
    """
    if named := os.environ.get("DVC_ROOT"):
        return Path(named)
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "dvc.yaml").is_file():
            return folder
    raise CapflowError(f"{here}: no dvc.yaml here or above; run this inside a Capflow checkout.")


def store() -> Path:
    """The folder for what outlives a stage: downloads, locks. Ignored by git and DVC."""
    folder = root() / ".capflow"
    folder.mkdir(exist_ok=True)
    return folder


def downloads() -> Path:
    """The folder of the store for what was fetched, and its manifest."""
    return store() / "downloads"


def checkpoints() -> Path:
    """The folder of the store for trainings that are not at their end."""
    return store() / "checkpoints"


def record() -> Path:
    """The folder of the store for what MLflow does not have yet."""
    return store() / "record"
