"""How the captions of a model folder are searched for, where the folder says so: ``search.json``."""

from pathlib import Path

from capflow.files import read_json, write_json
from capflow.params import ELSEWHERE, GenerateParams
from capflow.sections import parse

_FILE = "search.json"


def read_search(folder: Path) -> GenerateParams | None:
    """The ``generate`` section that the model was scored with; None, if the folder does not say.

    Raises:
        CapflowError: the file is damaged.
    """
    path = folder / _FILE
    return parse(read_json(path), GenerateParams, path) if path.exists() else None


def write_search(folder: Path, params: GenerateParams) -> None:
    """Let a folder say how captions are searched for, by this model alone, as nothing else lies there.

    No training captions do either, by which a consensus weighs words, and which give hints: a beam is
    searched without.
    """
    method = "beam" if params.method == "consensus" else params.method
    alone = {"models": (), "method": method, "hints": 0.0, "batch_size": ELSEWHERE.batch_size}
    write_json(folder / _FILE, params.model_copy(update=alone).model_dump(mode="json"), indent=2)
