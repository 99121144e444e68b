"""ZIP archives: one stored archive of pictures for each split, and members of what was downloaded."""

import os
import shutil
import stat
import zipfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath

from capflow.bars import bar
from capflow.data import zipcheck
from capflow.data.ahead import in_order
from capflow.data.headers import PictureError
from capflow.data.pictures import damage
from capflow.data.sources import Missing
from capflow.errors import CapflowError
from capflow.files import replacing

# The earliest time that the format can hold: equal pictures give an equal archive.
_EPOCH = (1980, 1, 1, 0, 0, 0)
_PIECE = 2**20


def pack(target: Path, names: Collection[str], read: Callable[[str], bytes]) -> list[Missing]:
    """Write pictures to a stored ZIP, in the order of ``names``, byte for byte the same each time.

    Each picture is decoded before it goes in, on all cores.

    Args:
        target: the archive; written atomically.
        names: the file names of the pictures, which become those of the members.
        read: gives the bytes of a picture, several at a time; KeyError or FileNotFoundError: there is
            none; PictureError, CapflowError or another OSError: it cannot be read.

    Returns:
        The pictures that are absent or cannot be decoded, which are left out, with the reason.
    """
    missing: list[Missing] = []
    with replacing(target) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        packed = in_order(lambda name: (name, picture(name, read)), names)
        for name, content in bar(packed, f"pack {target.stem}", len(names), "picture"):
            if isinstance(content, Missing):
                missing.append(content)
            else:
                archive.writestr(_member(name), content)
    return missing


def picture(name: str, read: Callable[[str], bytes]) -> bytes | Missing:
    """One picture, decoded once, or what is wrong with it; see :func:`pack`."""
    try:
        content = read(name)
    except (KeyError, FileNotFoundError):
        return Missing(name, "there is no such file")
    except (PictureError, CapflowError) as error:
        return Missing(name, str(error))
    except OSError as error:
        return Missing(name, f"cannot be read ({error.strerror})")
    fault = damage(content)
    return Missing(name, fault) if fault else content


def _member(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name, _EPOCH)
    member.create_system = 3
    member.external_attr = (stat.S_IFREG | 0o644) << 16
    return member


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a ZIP whose directory is sound and breaks no rule of :mod:`capflow.data.zipcheck`."""
    try:
        archive = zipcheck.opened(path)
    except zipcheck.RefusedError as error:
        raise CapflowError(
            f"{path}: refused, because {error}; take the archive from another place."
        ) from None
    except FileNotFoundError:
        raise CapflowError(f"{path}: there is no such file; fetch or make it (`dvc repro`).") from None
    except zipcheck.UNSOUND as error:
        raise CapflowError(f"{path}: not a sound ZIP archive ({error}); fetch or make it again.") from None
    with archive:
        yield archive


def _content(path: Path, archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        return archive.read(name)
    except zipcheck.UNSOUND as error:
        raise CapflowError(
            f"{path}: member {name} is damaged ({error}); fetch or make the archive again."
        ) from None


def zip_fault(path: Path) -> str | None:
    """Why a file is no sound ZIP (directory and every checksum); None when it is one."""
    try:
        with zipcheck.opened(path) as archive:
            names = bar(archive.namelist(), f"check {path.name}", unit="file")
            return next(filter(None, (_damage(archive, name) for name in names)), None)
    except zipcheck.RefusedError as error:
        return f"refused, because {error}"
    except zipcheck.UNSOUND as error:
        return f"not a sound ZIP archive: {error}"


def _damage(archive: zipfile.ZipFile, name: str) -> str | None:
    try:
        with archive.open(name) as member:
            while member.read(_PIECE):
                pass
    except zipcheck.UNSOUND as error:
        return f"not a sound ZIP archive: member {name} is damaged ({error})"
    return None


def read_member(path: Path, name: str) -> bytes | None:
    """One member of a ZIP, or None when the archive has no such member.

    Raises:
        CapflowError: not a ZIP, a dangerous one, or the member is damaged.
    """
    with _opened(path) as archive:
        return _content(path, archive, name) if name in archive.namelist() else None


@contextmanager
def pictures_in(path: Path) -> Iterator[Mapping[str, Callable[[], bytes]]]:
    """Open a ZIP and give each member's content by its file name, whatever folder it lies in.

    The bytes are read when they are asked for, which raises CapflowError where a member is damaged.

    Raises:
        CapflowError: not a ZIP, a dangerous one, or two members have the same file name.
    """
    with _opened(path) as archive:
        members: dict[str, str] = {}
        for member in archive.namelist():
            name = PurePosixPath(member).name
            name = member if name == member else name  # two equal texts would take memory twice
            if member.endswith("/") or member.startswith("__MACOSX/"):
                continue
            if name in members:
                raise CapflowError(
                    f"{path}: {members[name]} and {member} have the same file name; remove one of them."
                )
            members[name] = member
        yield {name: partial(_content, path, archive, member) for name, member in members.items()}


def absent_from(path: Path, names: Iterable[str]) -> list[Missing]:
    """The pictures that an archive should hold and does not.

    Raises:
        CapflowError: as :func:`pictures_in`.
    """
    with pictures_in(path) as held:
        return [Missing(name, f"{path.name} holds no such file") for name in names if name not in held]


def link_or_copy(source: Path, target: Path) -> None:
    """Give a finished file a second place, without a second copy where the disk allows it."""
    with replacing(target) as temporary:
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)
