"""What determines a training: two with the same digest would end in the same model."""

import hashlib
import json
import sys
from contextlib import suppress
from pathlib import Path

import torch

from capflow import dvcfiles, project
from capflow.errors import CapflowError
from capflow.files import digest, read_json, write_json
from capflow.models.devices import is_reduced
from capflow.params import Params

_READ = (project.ANNOTATIONS, project.ENCODER, project.FEATURES, project.TENSORS, project.VOCAB)
# What nobody changes by hand.
_NUMBERS = (project.FEATURES, project.TENSORS)
_MOST = 1000  # files whose digests are remembered, of some dozens of experiments


def training_digest(params: Params, device: torch.device) -> str:
    """A digest of parameters, artifacts that are read, code, PyTorch's version, device and precision.

    It is the same within DVC's stages, by hand, and on other machines that see the same files. The number of
    cores is not in it: a training may go on where there are more, though sums are then rounded in another
    way.

    Raises:
        CapflowError: tensors or features are not what dvc.lock has on record.
    """
    search = {"generate", "evaluate"}
    digests = _Digests(project.store() / "digests.json")
    whole = {
        "params": params.model_dump(mode="json", exclude=search),
        "max_length": params.generate.max_length,
        "artifacts": _artifacts(digests),
        "start": None
        if params.train.start == "none"
        else dvcfiles.folder_digest(project.WEIGHTS / params.train.start, digests),
        "code": _code(),
        "torch": torch.__version__,
        "device": device.type,
        "reduced": is_reduced(device, params.train.precision),
    }
    digests.remember()
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()


def _artifacts(digests: "_Digests") -> dict[str, str]:
    """The digests of what training reads, of what is there: dvc.lock may not know of a change by hand."""
    found = {str(path): dvcfiles.folder_digest(path, digests) for path in _READ}
    for path in _NUMBERS:
        known = dvcfiles.StageOutput(path, project.root()).recorded()
        if known not in {None, found[str(path)]}:
            raise CapflowError(
                f"{path}: not as dvc.lock has it on record, so damaged; `capflow verify {path}` names the "
                "file, and `dvc repro` makes it again (or, if the change is meant, `dvc commit` records it)."
            )
    return found


class _Digests:
    """Digests of files, which are read once: who has its place, size and time still has its content."""

    def __init__(self, path: Path) -> None:
        """Begin with what the file at ``path`` remembers."""
        self._path = path
        self._known: dict[str, str] = {}
        with suppress(CapflowError, ValueError, TypeError):  # there is none, or it is damaged
            self._known = dict(read_json(path))

    def __call__(self, file: Path) -> str:
        """The MD5 of a file, which is what DVC has, too."""
        state = file.stat()
        place = f"{state.st_dev}.{state.st_ino}.{state.st_size}.{state.st_mtime_ns}"
        self._known[place] = found = self._known.pop(place, None) or digest(file, "md5")
        return found

    def remember(self) -> None:
        """Write the latest ones down."""
        write_json(self._path, dict([*self._known.items()][-_MOST:]))


def _code() -> dict[str, str]:
    """The digests of this project's modules that are loaded."""
    modules = {name: getattr(module, "__file__", None) for name, module in sys.modules.items()}
    own = ("capflow", "stages", "__main__")
    return {name: digest(Path(file)) for name, file in modules.items() if file and name.startswith(own)}
