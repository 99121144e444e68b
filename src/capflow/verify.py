"""Files against the digests that were recorded of them: in the workspace, DVC's cache, the download store.

DVC takes a read-only object of its cache for right without a look at it: a byte that flips there is
served in silence. Here each file is read again. What DVC recorded is in dvc.lock; what was fetched
stands in the manifest of the store.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import NamedTuple

from capflow.data import manifest
from capflow.dvcfiles import FOLDER, Recorded, cache_folder, cached, folder_digest, listed, object_of, outputs
from capflow.errors import CapflowError

Progress = Callable[[Iterable[Path], int], Iterable[Path]]
_PIECE = 2**22  # bytes between two looks at an interruption


class Rotten(NamedTuple):
    """A file that is not what was recorded, and what it is: another digest, or unreadable."""

    file: Recorded
    found: str


def recorded(root: Path, downloads: Path) -> list[Recorded]:
    """Everything whose digest is on record: the outputs of the stages, and what was fetched.

    Where there is no dvc.lock, the objects of DVC's cache stand for the outputs: each has its digest
    for a name.

    Raises:
        CapflowError: a record cannot be read.
    """
    locked = (root / "dvc.lock").exists()
    return (outputs(root) if locked else cached(cache_folder(root))) + fetched(downloads)


def files_by_output(root: Path, downloads: Path, paths: Sequence[Path]) -> dict[Recorded, list[Recorded]]:
    """What is to be read of each thing on record that ``paths`` name; nothing of what is not here.

    Raises:
        CapflowError: as :func:`recorded` and :func:`chosen`.
    """
    cache = cache_folder(root)
    return {out: files_of(out, cache) for out in chosen(recorded(root, downloads), paths)}


def fetched(folder: Path) -> list[Recorded]:
    """The files that the download store holds, by its manifest.

    Raises:
        CapflowError: the manifest cannot be read.
    """
    return [
        Recorded(folder / entry.path, folder / entry.path, entry.sha256, "sha256")
        for entry in manifest.read(folder).values()
        if entry.state == "done"
    ]


def chosen(outs: Sequence[Recorded], paths: Sequence[Path]) -> list[Recorded]:
    """What ``paths`` name, lie in, or contain; without paths everything.

    Raises:
        CapflowError: a path has nothing to do with anything recorded.
    """
    if not paths:
        return list(outs)
    wanted: list[Recorded] = []
    for path in paths:
        whole = Path(os.path.abspath(path))  # noqa: PTH100 - a link into the cache is not to be followed
        near = [out for out in outs if out.path.is_relative_to(whole) or whole.is_relative_to(out.path)]
        if not near:
            raise CapflowError(
                f"{path}: neither dvc.lock nor the download store records such a file; correct the path."
            )
        wanted += near
    return list(dict.fromkeys(wanted))


def files_of(out: Recorded, cache: Path) -> list[Recorded]:
    """The files of an output and their objects in the cache; those that are there.

    The list of a folder comes first. Where the cache has no good one, the folder in the workspace is
    taken as a whole. A fetched file, and an object of the cache, is one file.
    """
    if out.algorithm == "sha256" or out.path.is_relative_to(cache):
        return [out] if out.path.is_file() else []
    own = out._replace(path=object_of(cache, out.digest), digest=out.digest.removesuffix(FOLDER))
    entries = listed(own) if out.digest.endswith(FOLDER) else None
    if entries is None:
        return [copy for copy in (out, own) if copy.path.exists()]
    copies = [own]
    for entry in entries:
        file = Recorded(out.artifact, out.path / entry["relpath"], entry["md5"])
        kept = file._replace(path=object_of(cache, entry["md5"]))
        # A file that is in neither place is lost, which reading it will tell.
        copies += [file] if not kept.path.is_file() else [file, kept] if file.path.is_file() else [kept]
    return copies


def check(files: Iterable[Recorded], progress: Progress) -> list[Rotten]:
    """Read files on all cores and find those whose digest is not the recorded one.

    A file that has several names, as a link from the workspace into the cache, is read once.

    Args:
        files: what to read; every one is there.
        progress: shows how many of the files have been read.
    """
    names: dict[tuple[object, object], list[Recorded]] = {}
    for file in dict.fromkeys(files):
        names.setdefault(_identity(file.path), []).append(file)
    groups = list(names.values())
    stop = Event()
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        found = pool.map(lambda group: _digest(group[0], stop), groups)
        shown = progress([group[0].path for group in groups], len(groups))
        results = [result for _, result in zip(shown, found, strict=True)]
    finally:  # an interruption is not to wait for the end of large files
        stop.set()
        pool.shutdown(cancel_futures=True)
    return [
        Rotten(file, result)
        for group, result in zip(groups, results, strict=True)
        for file in group
        if result != file.digest
    ]


def _identity(path: Path) -> tuple[object, object]:
    """The same for all names of one file."""
    try:
        state = path.stat()
    except FileNotFoundError:
        return path, None
    return state.st_dev, state.st_ino


def _digest(file: Recorded, stop: Event) -> str:
    """The digest of a file or folder, or why it cannot be read: rotten disks say so themselves."""
    try:
        if file.path.is_dir():
            return folder_digest(file.path, lambda path: _read(path, "md5", stop))
        return _read(file.path, file.algorithm, stop)
    except OSError as error:
        return f"unreadable ({error.strerror})"


def _read(path: Path, algorithm: str, stop: Event) -> str:
    """The digest of one file, as far as it is read when ``stop`` is set."""
    total = hashlib.new(algorithm, usedforsecurity=False)
    with path.open("rb") as stream:
        while not stop.is_set() and (piece := stream.read(_PIECE)):
            total.update(piece)
    return total.hexdigest()
