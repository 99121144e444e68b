"""What DVC has on record: the outputs in dvc.lock, the objects of its cache, and where that is.

The digest of a folder is that of a list of its files, which the cache holds as ``<digest>.dir``.
"""

import configparser
import hashlib
import json
import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import platformdirs
import yaml

from capflow.errors import CapflowError
from capflow.files import digest

logger = logging.getLogger(__name__)

_REMEDY = "wait until DVC has ended, if it runs, else restore it with `git restore dvc.lock`"
FOLDER = ".dir"
"""How the digest of a folder ends."""


class Recorded(NamedTuple):
    """A file of an artifact, and the digest that it should have: an MD5 of DVC's, or our SHA-256."""

    artifact: Path
    path: Path
    digest: str
    algorithm: Literal["md5", "sha256"] = "md5"


def outputs(root: Path) -> list[Recorded]:
    """The outputs of all stages: files, and folders with the digest of their list of files.

    A stage that dvc.yaml has no more, as after it was renamed, is named in the log and left out.

    Raises:
        CapflowError: dvc.lock or dvc.yaml is not there, or not as DVC has it.
    """
    locked = _stages(root / "dvc.lock", _REMEDY)
    pipeline = _stages(root / "dvc.yaml", "correct it")
    found: list[Recorded] = []
    for name, stage in locked.items():
        # Paths are relative to where the stage runs, and only dvc.yaml says where that is.
        known = pipeline.get(name.partition("@")[0])
        if known is None:
            logger.warning("not checked: what the stage %s made, which dvc.yaml has no more", name)
            continue
        try:
            found += _outputs_of(stage, root / known.get("wdir", "."))
        except (KeyError, TypeError, AttributeError) as error:
            raise CapflowError(
                f"{root / 'dvc.lock'}: the stage {name} is not what DVC writes ({error!r}); "
                "run `dvc repro`, or restore the file with `git restore dvc.lock`."
            ) from None
    return found


def inputs(root: Path) -> dict[tuple[str, Path], str]:
    """The digests of what each stage read when it ran last, by stage and path from the root.

    Raises:
        CapflowError: dvc.lock is not there, or not as DVC has it.
    """
    return {
        (name, Path(dep["path"])): str(dep["md5"])
        for name, stage in _stages(root / "dvc.lock", _REMEDY).items()
        for dep in stage.get("deps", [])
        if "md5" in dep
    }


def locked_params(root: Path) -> dict[str, Any]:
    """The sections of params.yaml as the stages had them when they ran last.

    Raises:
        CapflowError: dvc.lock is not there, or not as DVC has it.
    """
    found: dict[str, Any] = {}
    for stage in _stages(root / "dvc.lock", _REMEDY).values():
        for name, value in stage.get("params", {}).get("params.yaml", {}).items():
            section, _, key = name.partition(".")
            if key:
                found.setdefault(section, {})[key] = value
            else:
                found[section] = (found.get(section) or {}) | value if isinstance(value, dict) else value
    return found


def _outputs_of(stage: Any, home: Path) -> Iterator[Recorded]:
    for out in stage.get("outs", []):
        path = Path(os.path.normpath(home / out["path"]))
        yield Recorded(path, path, str(out["md5"]))


def _stages(path: Path, remedy: str) -> Mapping[str, Any]:
    """The stages of dvc.lock or dvc.yaml."""
    try:
        content = yaml.safe_load(path.read_bytes())
    except FileNotFoundError:
        raise CapflowError(f"{path}: there is no such file; run `dvc repro` first.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise CapflowError(f"{path}: not valid YAML ({reason}); {remedy}.") from None
    stages = content.get("stages") if isinstance(content, dict) else None
    if not isinstance(stages, dict):
        raise CapflowError(f"{path}: has no mapping `stages`; {remedy}.")
    return stages


def cached(cache: Path) -> list[Recorded]:
    """The objects of DVC's cache."""
    objects = {path: f"{path.parent.name}{path.name}" for path in cache.glob("files/md5/??/*")}
    return [
        Recorded(path, path, name.removesuffix(FOLDER))
        for path, name in sorted(objects.items())
        if re.fullmatch(rf"[0-9a-f]{{32}}({re.escape(FOLDER)})?", name)
    ]


def cache_folder(root: Path) -> Path:
    """Where DVC keeps the objects of this repository: ``cache.dir`` of its settings, else .dvc/cache.

    Of the settings of the machine, the user, the repository and this copy of it, the last one that
    names a folder counts; it is relative to the file that does.

    Raises:
        CapflowError: a file of settings cannot be read.
    """
    system = os.environ.get("DVC_SYSTEM_CONFIG_DIR") or platformdirs.site_config_dir("dvc", "iterative")
    user = os.environ.get("DVC_GLOBAL_CONFIG_DIR") or platformdirs.user_config_dir("dvc", "iterative")
    own = root / ".dvc"
    folder = own / "cache"
    for path in (Path(system, "config"), Path(user, "config"), own / "config", own / "config.local"):
        if named := _cache_setting(path):
            folder = path.parent / Path(named).expanduser()
    return Path(os.path.normpath(folder))


def _cache_setting(path: Path) -> str:
    settings = configparser.ConfigParser(interpolation=None, strict=False, inline_comment_prefixes=("#",))
    try:
        settings.read(path, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise CapflowError(f"{path}: not valid settings ({reason}); correct them.") from None
    return settings.get("cache", "dir", fallback="").strip("\"'")


def object_of(cache: Path, md5: str) -> Path:
    """The place of an object in the cache."""
    return cache / "files/md5" / md5[:2] / md5[2:]


def listed(own: Recorded) -> list[dict[str, str]] | None:
    """The ``md5`` and ``relpath`` of each file of a folder, from the list in the cache; None without it.

    Args:
        own: the list itself; it counts for nothing where its digest is another.
    """
    try:
        content = own.path.read_bytes()
    except OSError:
        return None
    whole = hashlib.md5(content, usedforsecurity=False).hexdigest() == own.digest
    entries: list[dict[str, str]] | None = json.loads(content) if whole else None
    return entries


def folder_digest(folder: Path, md5: Callable[[Path], str]) -> str:
    """The digest of a folder as DVC would record it, where ``md5`` gives that of a file."""
    entries = [
        {"md5": md5(path), "relpath": path.relative_to(folder).as_posix()}
        for path in folder.rglob("*")
        if path.is_file()
    ]
    listing = json.dumps(sorted(entries, key=lambda entry: entry["relpath"]), sort_keys=True)
    return f"{hashlib.md5(listing.encode(), usedforsecurity=False).hexdigest()}{FOLDER}"


class StageOutput:
    """A folder that the stage at work writes, and that DVC records when the stage has ended."""

    def __init__(self, path: Path, root: Path) -> None:
        """Name it by its path in the working directory, and the root of the repository that has the cache."""
        self._path, self._root = path, root

    @property
    def awaited(self) -> bool:
        """Whether it is DVC that has started the stage."""
        return "DVC_STAGE" in os.environ

    def digest(self) -> str:
        """The digest that DVC will record."""
        return folder_digest(self._path, lambda file: digest(file, "md5"))

    def recorded(self) -> str | None:
        """The digest in the working directory's dvc.lock; None, if there is none."""
        if not Path("dvc.lock").exists():
            return None
        outs = (out for stage in _stages(Path("dvc.lock"), _REMEDY).values() for out in stage.get("outs", []))
        return next((out.get("md5") for out in outs if out.get("path") == self._path.as_posix()), None)

    def cached(self, known: str) -> bool:
        """Whether DVC's cache has it with this digest."""
        return object_of(cache_folder(self._root), known).exists()
