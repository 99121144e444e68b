"""Checkpoints of one training on disk: JSON and safetensors, found whole or not at all.

A folder holds, for each of the last two checkpoints, ``<number>.<SHA-256 of the file>.json``, which names its
tensors by their digests: ``<SHA-256>.safetensors``. The best weights are a file of their own, which several
checkpoints share. Every file is written beside, synced and renamed, the JSON last; so what a kill, a full
disk or a flipped bit leaves behind is never taken for a checkpoint, and nothing is ever unpickled.
"""

import hashlib
import json
import logging
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from capflow.errors import CapflowError
from capflow.files import read_json, write_bytes, write_json
from capflow.locks import in_turn
from capflow.processes import Processes
from capflow.training.state import State, Tensors

logger = logging.getLogger(__name__)

_KEPT = 2
_NAME = "name.json"


@contextmanager
def kept(folder: Path, training: str) -> Iterator["Checkpoints"]:
    """The checkpoints of a training, for one process at a time; they go when the block ends well.

    Args:
        folder: of all trainings' checkpoints.
        training: the digest of all that determines the training.

    Raises:
        CapflowError: as :meth:`Checkpoints.newest`.
    """
    own, done = folder / training, folder / f"{training}.done"
    with in_turn(folder / f"{training}.lock", "a training of the same parameters and data"):
        shutil.rmtree(done, ignore_errors=True)  # of a process that was killed while it removed them
        yield Checkpoints(own, training)
        own.rename(done)
        shutil.rmtree(done)


class Checkpoints:
    """The folder of one training."""

    def __init__(self, folder: Path, training: str) -> None:
        """Go on in a folder, or begin it; ``training`` is what its checkpoints have to be of."""
        self._folder, self._training = folder, training
        self._best: tuple[Tensors, str] | None = None
        self._damaged: set[Path] = set()
        self.name = self._named()
        """The name of this training, from its first beginning to its end."""

    def _named(self) -> str:
        path = self._folder / _NAME
        if not path.exists():
            write_json(path, uuid.uuid4().hex)
        return str(read_json(path))

    def save(self, state: State) -> None:
        """Write a checkpoint, then remove all but the last two.

        Raises:
            OSError: the disk is full, or refuses; the checkpoints before stay.
        """
        try:
            manifest = {
                "training": self._training,
                "values": state.values,
                "tensors": self._write_tensors(state.tensors),
                "best": self._write_best(state.best),
            }
            content = json.dumps(manifest).encode()
            number = max((_number(path) for path in self._manifests()), default=0) + 1
            write_bytes(self._folder / f"{number:08}.{_digest(content)}.json", content)
        finally:
            self._sweep()

    def newest(self) -> State | None:
        """The last checkpoint that is whole; those that are not are named in the log and passed over.

        Raises:
            CapflowError: it is of another training.
        """
        for path in self._manifests():
            try:
                return self._read(path)
            except (OSError, ValueError, LookupError, TypeError, SafetensorError) as error:
                logger.warning("%s: a damaged checkpoint, passed over (%s)", path, error)
                self._damaged.add(path)
        return None

    def _manifests(self) -> list[Path]:
        """The JSON files, newest first."""
        return sorted(self._folder.glob("[0-9]*.*.json"), key=_number, reverse=True)

    def _write_tensors(self, tensors: Tensors) -> str:
        content = _packed(tensors)
        digest = _digest(content)
        write_bytes(self._folder / f"{digest}.safetensors", content)
        return digest

    def _write_best(self, best: Tensors) -> str:
        """Write the best weights, unless they are those of the checkpoint before."""
        if self._best is None or self._best[0] is not best:
            self._best = (best, self._write_tensors(best))
        return self._best[1]

    def _read(self, path: Path) -> State:
        manifest = json.loads(_read_whole(path, path.name.split(".")[1]))
        if manifest["training"] != self._training:
            raise CapflowError(
                f"{path}: a checkpoint of another training ({manifest['training']}), with other parameters, "
                f"data or code; remove {path.parent}."
            )
        return State(
            manifest["values"], *(self._read_tensors(manifest[part]) for part in ("tensors", "best"))
        )

    def _read_tensors(self, digest: str) -> Tensors:
        return load(_read_whole(self._folder / f"{digest}.safetensors", digest))

    def _sweep(self) -> None:
        """Remove all that the last two checkpoints do not need, also what was half written."""
        manifests = [path for path in self._manifests() if path not in self._damaged][:_KEPT]
        needed = {_NAME, *(path.name for path in manifests)}
        for path in manifests:
            needed |= {f"{digest}.safetensors" for digest in _tensors_of(path)}
        for path in self._folder.iterdir():
            if path.name not in needed:
                path.unlink()


def sent(state: State | None, processes: Processes) -> State | None:
    """The state that the first process has found, for all."""
    if processes.count == 1 or not processes.told(state is not None):
        return state
    values, tensors, best = state or State({}, {}, {})
    contents = (processes.sent(_packed(part)) for part in (tensors, best))
    return State(processes.told(values), *(dict(load(content)) for content in contents))


def _packed(tensors: Tensors) -> bytes:
    # Files have no two names for one tensor, which tied words have, and no channels that come last.
    plain = {
        name: tensor.to("cpu", copy=True, memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
    return save(plain)


def _number(path: Path) -> int:
    return int(path.name.split(".")[0])


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _read_whole(path: Path, digest: str) -> bytes:
    content = path.read_bytes()
    if _digest(content) != digest:
        raise ValueError(f"{path.name} is not as it was written")
    return content


def _tensors_of(path: Path) -> list[Any]:
    """The digests of a checkpoint's tensors; none, if it is damaged."""
    try:
        manifest = json.loads(_read_whole(path, path.name.split(".")[1]))
    except ValueError:
        return []
    return [manifest["tensors"], manifest["best"]]
