"""Files against the digests that were recorded of them: in the workspace, DVC's cache, the download store.

DVC takes a read-only object of its cache for right without a look at it: a byte that flips there is
served in silence. Here each file is read again. What DVC recorded is in dvc.lock, the digest of a
folder being that of a list of its files, which the cache holds as ``<digest>.dir``. What was fetched
stands in the manifest of the store.
"""

import configparser
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, NamedTuple

import yaml

from capflow.data import manifest
from capflow.errors import CapflowError
from capflow.files import digest

Progress = Callable[[Iterable[Path], int], Iterable[Path]]
_FOLDER = ".dir"


class Recorded(NamedTuple):
    """A file of an artifact, and the digest that it should have: an MD5 of DVC's, or our SHA-256."""

    artifact: Path
    path: Path
    digest: str
    algorithm: Literal["md5", "sha256"] = "md5"


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
    return (recorded_outs(root) if locked else cached(cache_folder(root))) + fetched(downloads)


def recorded_outs(root: Path) -> list[Recorded]:
    """The outputs of all stages: files, and folders with the digest of their list of files.

    Raises:
        CapflowError: there is no dvc.lock, or it is not what DVC writes.
    """
    lock, pipeline = (_read_yaml(root / name) for name in ("dvc.lock", "dvc.yaml"))
    outs = []
    try:
        for name, stage in lock["stages"].items():
            # Paths are relative to where the stage runs, and only dvc.yaml says where that is.
            home = root / pipeline["stages"][name.partition("@")[0]].get("wdir", ".")
            for out in stage.get("outs", []):
                path = Path(os.path.normpath(home / out["path"]))
                outs.append(Recorded(path, path, str(out["md5"])))
    except (KeyError, TypeError, AttributeError) as error:
        raise CapflowError(
            f"{root / 'dvc.lock'}: not what DVC writes, or of another dvc.yaml ({error!r}); "
            "restore it with `git restore dvc.lock dvc.yaml`."
        ) from None
    return outs


def cached(cache: Path) -> list[Recorded]:
    """The objects of DVC's cache."""
    objects = {path: f"{path.parent.name}{path.name}" for path in cache.glob("files/md5/??/*")}
    return [
        Recorded(path, path, name.removesuffix(_FOLDER))
        for path, name in sorted(objects.items())
        if re.fullmatch(rf"[0-9a-f]{{32}}({re.escape(_FOLDER)})?", name)
    ]


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


def _read_yaml(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_bytes())
    except FileNotFoundError:
        raise CapflowError(f"{path}: there is no such file; run `dvc repro` first.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise CapflowError(f"{path}: not valid YAML ({reason}); restore it with `git restore`.") from None


def cache_folder(root: Path) -> Path:
    """Where DVC keeps the objects of this repository: ``cache.dir`` of its settings, else .dvc/cache."""
    settings = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        settings.read([root / ".dvc/config", root / ".dvc/config.local"], encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise CapflowError(f"{root / '.dvc/config'}: not valid settings ({reason}); correct them.") from None
    folder = root / ".dvc" / settings.get("cache", "dir", fallback="cache")
    return Path(os.path.normpath(folder))


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


def files_of(out: Recorded, cache: Path) -> Iterator[Recorded]:
    """The files of an output and their objects in the cache; those that are there.

    The list of a folder comes first. Where the list is damaged or absent, nothing else can be told.
    A fetched file, and an object of the cache, is one file.
    """
    if out.algorithm == "sha256" or out.path.is_relative_to(cache):
        return iter([out] if out.path.is_file() else [])
    held = _object(cache, out.digest)
    own = out._replace(path=held, digest=out.digest.removesuffix(_FOLDER))
    copies = [own] if out.digest.endswith(_FOLDER) else [out, own]
    if out.digest.endswith(_FOLDER) and held.is_file() and _digest(own) == own.digest:
        for entry in json.loads(held.read_bytes()):
            file = Recorded(out.artifact, out.path / entry["relpath"], entry["md5"])
            kept = file._replace(path=_object(cache, entry["md5"]))
            # A file that is in neither place is lost, which reading it will tell.
            copies += [file] if not kept.path.is_file() else [file, kept] if file.path.is_file() else [kept]
        return iter(copies)
    return (copy for copy in copies if copy.path.is_file())


def _object(cache: Path, md5: str) -> Path:
    return cache / "files/md5" / md5[:2] / md5[2:]


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
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = pool.map(_digest, [group[0] for group in groups])
        shown = progress([group[0].path for group in groups], len(groups))
        results = [result for _, result in zip(shown, found, strict=True)]
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


def _digest(file: Recorded) -> str:
    """The digest of a file, or why it cannot be read: rotten disks say so themselves."""
    try:
        return digest(file.path, file.algorithm)
    except OSError as error:
        return f"unreadable ({error.strerror})"
