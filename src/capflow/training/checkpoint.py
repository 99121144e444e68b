"""Checkpoints of one training on disk: JSON and safetensors, found whole or not at all.

A folder holds, for each of the last two checkpoints, ``<number>.<SHA-256 of the file>.json``, which names its
tensors by their digests: ``<SHA-256>.safetensors``. The best weights are a file of their own, which several
checkpoints share. Every file is written beside, synced and renamed, the JSON last; so what a kill, a full
disk or a flipped bit leaves behind is never taken for a checkpoint, and nothing is ever unpickled.
"""

import hashlib
import json
import logging
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from capflow.dvcfiles import StageOutput
from capflow.errors import CapflowError
from capflow.files import read_json, write_bytes, write_json
from capflow.locks import alone, in_turn
from capflow.processes import Processes
from capflow.training.state import State, Tensors

logger = logging.getLogger(__name__)

_KEPT = 2
_NAME, _ENDED = "name.json", "ended.json"
_DONE = ".done"
_MANIFEST = re.compile(r"([0-9]{8,})\.([0-9a-f]{64})\.json")
_WHAT = "a training of the same parameters and data"
_DAMAGE = (OSError, ValueError, LookupError, TypeError, RecursionError, SafetensorError)


@contextmanager
def kept(folder: Path, training: str, model: StageOutput) -> Iterator["Checkpoints"]:
    """The checkpoints of a training, for one process at a time; they go when the block ends well.

    Where DVC is still to record the model, the last one stays until a later training finds that it has: one
    that DVC lost (it was killed, the disk was full) is written again, without training anew.

    Args:
        folder: of all trainings' checkpoints.
        training: the digest of all that determines the training.
        model: what the block writes.

    Raises:
        CapflowError: as :meth:`Checkpoints.newest`.
    """
    own, done = folder / training, folder / f"{training}{_DONE}"
    # Asked before others are waited for: what these end with is theirs, and DVC is recording it.
    ended = _ended(own)
    lost = ended is not None and ended != model.recorded() and not model.cached(ended)
    with in_turn(folder / f"{training}.lock", _WHAT):
        shutil.rmtree(done, ignore_errors=True)  # of a process that was killed while it removed them
        _remove_recorded(folder, own, model)
        if lost:
            logger.info("this training ended before, but DVC has not recorded its model: it is written again")
        elif _ended(own) is not None:
            _remove(own)
        checkpoints = Checkpoints(own, training)
        yield checkpoints
        if model.awaited:
            checkpoints.end(model.digest())
        else:
            _remove(own)


def _ended(folder: Path) -> str | None:
    """The digest of the model that a training ended with; None of one that may not be at its end."""
    with suppress(CapflowError):
        return str(read_json(folder / _ENDED))
    return None


def _remove_recorded(folder: Path, own: Path, model: StageOutput) -> None:
    """Remove what other trainings ended with, if DVC has it and nobody is about to write it again."""
    found = (path.parent for path in folder.glob(f"*/{_ENDED}"))
    for other in (path for path in found if path != own and path.suffix != _DONE):
        with suppress(CapflowError), alone(folder / f"{other.name}.lock", _WHAT):
            if (ended := _ended(other)) is not None and model.cached(ended):
                _remove(other)


def _remove(own: Path) -> None:
    """Remove a folder at once, as far as anybody can see."""
    done = own.with_suffix(_DONE)
    own.rename(done)
    shutil.rmtree(done, ignore_errors=True)


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
        with suppress(CapflowError):  # there is none, or it is damaged: then the record begins anew
            if re.fullmatch("[0-9a-f]{32}", name := str(read_json(path))):
                return name
        if path.exists():
            logger.warning("%s: damaged; the training goes on in a new run of the record", path)
        write_json(path, name := uuid.uuid4().hex)
        return name

    def end(self, model: str) -> None:
        """Note that the training has ended with a model of this digest; keep the last checkpoint alone."""
        write_json(self._folder / _ENDED, model)
        self._sweep(1)

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
            except _DAMAGE as error:
                logger.warning("%s: a damaged checkpoint, passed over (%s)", path, error)
                self._damaged.add(path)
        return None

    def _manifests(self) -> list[Path]:
        """The JSON files, newest first."""
        found = (path for path in self._folder.iterdir() if _MANIFEST.fullmatch(path.name) and path.is_file())
        return sorted(found, key=_number, reverse=True)

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

    def _sweep(self, kept: int = _KEPT) -> None:
        """Remove all files that the last checkpoints do not need, also what was half written."""
        manifests = [path for path in self._manifests() if path not in self._damaged][:kept]
        needed = {_NAME, _ENDED, *(path.name for path in manifests)}
        for path in manifests:
            needed |= {f"{digest}.safetensors" for digest in _tensors_of(path)}
        for path in self._folder.iterdir():
            if path.name not in needed and not path.is_dir():
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
        return [manifest["tensors"], manifest["best"]]
    except _DAMAGE:
        return []
