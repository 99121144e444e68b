"""ZIP archives: one stored archive of pictures for each split, and members of what was downloaded."""

import io
import os
import shutil
import stat
import warnings
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath

from PIL import Image, UnidentifiedImageError

from capflow.data.sources import Missing
from capflow.errors import CapflowError
from capflow.files import replacing

# The earliest time that the format can hold: equal pictures give an equal archive.
_EPOCH = (1980, 1, 1, 0, 0, 0)


def pack(target: Path, names: Iterable[str], read: Callable[[str], bytes]) -> list[Missing]:
    """Write pictures to a stored ZIP, in the order of ``names``, byte for byte the same each time.

    Args:
        target: the archive; written atomically.
        names: the file names of the pictures, which become those of the members.
        read: gives the bytes of a picture; KeyError or FileNotFoundError: there is none.

    Returns:
        The pictures that are absent or no pictures, which are left out, with the reason.
    """
    missing: list[Missing] = []
    with replacing(target) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name in names:
            try:
                content = read(name)
                if fault := picture_fault(content):
                    missing.append(Missing(name, fault))
                else:
                    archive.writestr(_member(name), content)
            except (KeyError, FileNotFoundError):
                missing.append(Missing(name, "there is no such file"))
            except zipfile.BadZipFile as error:
                missing.append(Missing(name, f"damaged in its archive ({error})"))
    return missing


def _member(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name, _EPOCH)
    member.create_system = 3
    member.external_attr = (stat.S_IFREG | 0o644) << 16
    return member


def picture_fault(content: bytes) -> str | None:
    """Why ``content`` cannot be a picture, judged by its header; None when it can be one."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            Image.open(io.BytesIO(content)).close()
    except UnidentifiedImageError:
        return "not a picture"
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        return f"not a sound picture: {' '.join(str(error).split())}"
    return None


def zip_fault(path: Path) -> str | None:
    """Why a file is no sound ZIP (directory and every checksum); None when it is one."""
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError) as error:
        return f"not a sound ZIP archive: {error}"
    return f"not a sound ZIP archive: member {damaged} is damaged" if damaged else None


def read_member(path: Path, name: str) -> bytes | None:
    """One member of a ZIP, or None when the archive has no such member.

    Raises:
        CapflowError: the file is not a ZIP or the member is damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.read(name) if name in archive.namelist() else None
    except (zipfile.BadZipFile, OSError) as error:
        raise CapflowError(f"{path}: cannot be read ({error}); remove it to have it fetched again.") from None


@contextmanager
def pictures_in(path: Path) -> Iterator[Mapping[str, Callable[[], bytes]]]:
    """Open a ZIP and give each member's content by its file name, whatever folder it lies in.

    Raises:
        CapflowError: not a ZIP, or two members have the same file name.
    """
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise CapflowError(f"{path}: not a sound ZIP archive ({error}); fetch or make it again.") from None
    with archive:
        members: dict[str, str] = {}
        for member in archive.namelist():
            name = PurePosixPath(member).name
            if member.endswith("/") or member.startswith("__MACOSX/"):
                continue
            if name in members:
                raise CapflowError(
                    f"{path}: {members[name]} and {member} have the same file name; remove one of them."
                )
            members[name] = member
        yield {name: partial(archive.read, member) for name, member in members.items()}


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
