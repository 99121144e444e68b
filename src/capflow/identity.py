"""What determines a training: two with the same digest would end in the same model."""

import hashlib
import json
import os
import sys
from pathlib import Path

import torch

from capflow import dvcfiles, project
from capflow.files import digest, folder_digest
from capflow.params import Params

_READ = (project.ANNOTATIONS, project.ENCODER, project.FEATURES, project.TENSORS, project.VOCAB)


def training_digest(params: Params, device: torch.device) -> str:
    """A digest of parameters, artifacts that are read, code, PyTorch's version and the kind of device.

    The number of cores is not in it: a training may go on where there are more, though sums are then
    rounded in another way.
    """
    search = {"generate", "evaluate"}
    whole = {
        "params": params.model_dump(mode="json", exclude=search),
        "max_length": params.generate.max_length,
        "artifacts": _artifacts(),
        "start": None
        if params.train.start == "none"
        else folder_digest(project.WEIGHTS / params.train.start),
        "code": _code(),
        "torch": torch.__version__,
        "device": device.type,
    }
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()


def _artifacts() -> dict[str, str]:
    """The digests of what training reads: DVC's within its stages, where they are fresh, else our own."""
    recorded = {}
    if "DVC_STAGE" in os.environ and Path("dvc.lock").exists():
        recorded = {out.artifact: out.digest for out in dvcfiles.outputs(Path())}
    return {str(path): recorded.get(path) or folder_digest(path) for path in _READ}


def _code() -> dict[str, str]:
    """The digests of this project's modules that are loaded."""
    modules = {name: getattr(module, "__file__", None) for name, module in sys.modules.items()}
    own = ("capflow", "stages", "__main__")
    return {name: digest(Path(file)) for name, file in modules.items() if file and name.startswith(own)}
