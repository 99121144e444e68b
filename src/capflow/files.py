"""Files that are either complete or absent: write beside, sync, rename; and their digests."""

import ctypes
import hashlib
import json
import os
import reprlib
import stat
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from capflow.bars import meter
from capflow.errors import CapflowError

_record = reprlib.Repr()
_record.maxlevel = 1
# A sync of the whole file system also waits for what others wrote, so it is not for a few files.
_FEW = 4
_PIECE = 2**20  # bytes of a file that are digested at a time
_SYNCFS: Callable[[int], int] | None = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``target`` that becomes ``target`` when the block succeeds.

    The temporary file is synced to disk before the rename, so that a crash leaves the old file or
    the new one, never a torn one. When the block raises, the temporary file is removed and
    ``target`` stays as it was.

    Raises:
        OSError: as the block raised it, with ``target`` for a file name where it has none, as a full
            disk is noticed by a descriptor, and for the temporary one, of which nobody has heard.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        sync(temporary)
        temporary.replace(target)
        sync(target.parent)
    except OSError as error:
        if error.filename is None or Path(error.filename) == temporary:
            error.filename = str(target)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Flush a file or a folder from the page cache to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def reserve(path: Path) -> None:
    """Have the disk space for a file whose size is set but whose content is still to be written.

    Where a memory map meets a full disk, the system ends the process without a word (SIGBUS).

    Raises:
        OSError: the disk has not enough of it.
    """
    with path.open("r+b") as stream:
        os.posix_fallocate(stream.fileno(), 0, path.stat().st_size)


def sync_all(paths: Collection[Path]) -> None:
    """Flush many files of one file system to the disk: at once, where the system can (Linux's syncfs)."""
    if len(paths) < _FEW or _SYNCFS is None:
        for path in paths:
            sync(path)
        return
    descriptor = os.open(next(iter(paths)), os.O_RDONLY)
    try:
        if _SYNCFS(descriptor):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    finally:
        os.close(descriptor)


def read_regular(path: Path) -> bytes:
    """The content of a file that is one: of a pipe or a device one would wait for the end.

    Raises:
        CapflowError: it is something else.
        OSError: it is not there, or cannot be read.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise CapflowError(f"{path}: a folder, pipe, socket or device, not a file; replace or remove it.")
    return path.read_bytes()


def write_bytes(target: Path, content: bytes) -> None:
    """Write ``content`` to ``target`` atomically."""
    with replacing(target) as temporary:
        temporary.write_bytes(content)


def write_text(target: Path, content: str) -> None:
    """Write ``content`` to ``target`` atomically, as UTF-8."""
    write_bytes(target, content.encode())


def write_json(target: Path, value: Any, *, indent: int | None = None) -> None:
    """Write ``value`` as JSON, atomically, byte for byte the same for equal values."""
    text = json.dumps(value, ensure_ascii=False, indent=indent, allow_nan=False) + "\n"
    # UTF-8 has no lone surrogates, but JSON has: this writes them as the escapes that they came as.
    write_bytes(target, text.encode(errors="backslashreplace"))


def read_json(path: Path, *, forget: Collection[str] = ()) -> Any:
    """Read a JSON file.

    Args:
        path: the file.
        forget: objects with all of these keys become None as soon as they have been read, so that a long
            list of them takes no memory.

    Raises:
        CapflowError: the file is missing, cannot be read, or is not JSON.
    """
    return parse_json(_content(path), path, forget=forget)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise CapflowError(f"{path}: there is no such file; mend its path, or run `dvc repro`.") from None
    except OSError as error:
        raise CapflowError(f"{path}: cannot be read ({error.strerror}); look at it.") from None


def parse_json(content: bytes, origin: Path | str, *, forget: Collection[str] = ()) -> Any:
    """Decode JSON that was read from ``origin``; ``forget`` as in :func:`read_json`.

    Raises:
        CapflowError: it is not JSON, an object has a key twice (readers differ in which of the two
            they take), it is nested too deeply, or holds a number of thousands of digits.
    """

    def known(pairs: list[tuple[str, Any]]) -> dict[str, Any] | None:
        record = _each_key_once(pairs)
        return None if forget and record.keys() >= set(forget) else record

    try:
        text = content.decode(json.detect_encoding(content), "surrogatepass")
        del content  # a large file is not held twice
        return json.loads(text, object_pairs_hook=known)
    except (ValueError, RecursionError) as error:
        raise CapflowError(f"{origin}: not valid JSON ({error}); fetch or make it again.") from None


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in content if keys.count(key) > 1)
        raise ValueError(f"{reprlib.repr(twice)} occurs twice in {_record.repr(content)}")
    return content


def digest(path: Path, algorithm: str = "sha256") -> str:
    """The hexadecimal digest of one file."""
    total = hashlib.new(algorithm, usedforsecurity=False)
    with path.open("rb") as stream, meter(f"read {path.name}", path.stat().st_size, "B") as shown:
        while piece := stream.read(_PIECE):
            total.update(piece)
            shown.update(len(piece))
    return total.hexdigest()


def folder_digest(folder: Path) -> str:
    """One digest for all files below ``folder``: their relative names and contents, in order."""
    total = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        total.update(f"{path.relative_to(folder).as_posix()}\0{digest(path)}\n".encode())
    return total.hexdigest()
