"""What a ZIP archive from outside must be before a byte of its members is read.

An archive that breaks a rule is refused as a whole, not sanitised: nobody packs pictures so by
accident. The format is PKWARE's APPNOTE.TXT 6.3.10; how overlapping members make 42 kB unpack to
5 GB is shown by D. Fifield, "A better zip bomb" (WOOT 2019).
"""

import os
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path, PurePosixPath

UNSOUND = (zipfile.BadZipFile, RuntimeError, OSError, EOFError, ValueError, zlib.error)
"""What Python's reader raises for archives that are damaged, or of a kind that it does not know."""

# COCO's largest member has 0.45 GB, its largest archive 19 GB; its JSON shrinks to a fifth.
_MEMBER_BYTES = 2**30
_TOTAL_BYTES = 2**36
_RATIO = 100
_SMALL = 2**20
# COCO's largest archive has 118,288 members and a directory of 11 MB. Python makes an object of each
# member before it tells anything of them: a million take half a minute and most of a gigabyte.
_MEMBERS = 2**18
_DIRECTORY_BYTES = 2**26

_ENCRYPTED = 0x1
# Others need a library more, and LZMA as much memory as the archive asks for.
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_LOCAL_HEADER = 30
_END, _LONG_END, _LOCATOR, _ENTRY = b"PK\5\6", b"PK\6\6", b"PK\6\7", b"PK\1\2"
_END_BYTES, _LONG_BYTES, _COMMENT_BYTES = 22, 56 + 20, 2**16


class RefusedError(Exception):
    """An archive that must not be read, and why."""


def opened(path: Path) -> zipfile.ZipFile:
    """Open an archive that breaks no rule.

    Raises:
        RefusedError: it breaks one.
        Exception: one of ``UNSOUND``: it cannot be read.
    """
    if reason := _crowd(path):
        raise RefusedError(reason)
    archive = zipfile.ZipFile(path)
    if reason := _refusal(archive):
        archive.close()
        raise RefusedError(reason)
    return archive


def _crowd(path: Path) -> str | None:
    """Why an archive has too many members for its directory to be read at all; None when it may be.

    Whatever this cannot find, a ZIP's reader cannot find either, or finds to be unsound.
    """
    with path.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        start = stream.seek(max(0, size - _COMMENT_BYTES - _END_BYTES - _LONG_BYTES))
        end, length = _directory(stream.read())
        if length > _DIRECTORY_BYTES:
            return f"its directory has {length:,} bytes, more than {_DIRECTORY_BYTES:,}"
        stream.seek(max(0, start + end - length))
        members = stream.read(length).count(_ENTRY)
    return f"it has {members:,} members, more than {_MEMBERS:,}" if members > _MEMBERS else None


def _directory(tail: bytes) -> tuple[int, int]:
    """Where the directory ends, counted from the start of an archive's tail, and how many bytes it has."""
    plain = len(tail) - _END_BYTES  # without a comment, as Python's reader tries it first
    end = plain if tail[plain:].startswith(_END) and tail.endswith(b"\0\0") else tail.rfind(_END)
    if end < 0 or len(tail) < end + _END_BYTES:
        return 0, 0
    (length,) = struct.unpack_from("<I", tail, end + 12)
    long = tail[max(0, end - _LONG_BYTES) : end]
    if long[:4] != _LONG_END or long[56:60] != _LOCATOR:
        return end, length
    return end - _LONG_BYTES, struct.unpack_from("<Q", long, 40)[0]


def _refusal(archive: zipfile.ZipFile) -> str | None:
    """Why an archive must not be read, judged by its directory alone; None when it may be."""
    members = archive.infolist()
    for member in members:
        if problem := _name_problem(member.orig_filename) or _kind_problem(member) or _size_problem(member):
            return f"its member {member.orig_filename!r} {problem}"
    if name := _duplicate(members):
        return f"its member {name!r} occurs twice"
    total = sum(member.file_size for member in members)
    if total > _TOTAL_BYTES:
        return f"it unpacks to {total:,} bytes, more than {_TOTAL_BYTES:,}"
    packed = sum(member.compress_size for member in members)
    if total > _SMALL + _RATIO * packed:
        return f"it unpacks from {packed:,} to {total:,} bytes, more than {_RATIO} fold"
    return _overlap(members, archive.start_dir)


def _name_problem(name: str) -> str | None:
    if any(ord(letter) < 0x20 or letter == "\x7f" for letter in name) or not name:
        return "has no name, or one with control characters"
    if name.startswith("/") or "\\" in name or ".." in name.split("/") or re.match(r"[A-Za-z]:", name):
        return "leaves the archive's folder"
    return None


def _kind_problem(member: zipfile.ZipInfo) -> str | None:
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFDIR if member.is_dir() else stat.S_IFREG):
        return "is a link, or another thing that is no regular file"
    if member.flag_bits & _ENCRYPTED:
        return "is encrypted"
    if member.volume:
        return f"lies on part {member.volume + 1} of a split archive"
    if member.compress_type not in _METHODS:
        return "is packed in another way than stored or deflated"
    return None


def _size_problem(member: zipfile.ZipInfo) -> str | None:
    if member.file_size > _MEMBER_BYTES:
        return f"unpacks to {member.file_size:,} bytes, more than {_MEMBER_BYTES:,}"
    if member.file_size > _SMALL + _RATIO * member.compress_size:
        return f"unpacks from {member.compress_size:,} to {member.file_size:,} bytes, more than {_RATIO} fold"
    return None


def _duplicate(members: Iterable[zipfile.ZipInfo]) -> str | None:
    seen: set[PurePosixPath] = set()
    for member in members:
        path = PurePosixPath(member.filename)
        if path in seen:
            return member.filename
        seen.add(path)
    return None


def _overlap(members: Iterable[zipfile.ZipInfo], directory: int) -> str | None:
    """Members that share bytes with each other or with the directory, which starts at ``directory``."""
    spans = sorted((member.header_offset, _LOCAL_HEADER + member.compress_size) for member in members)
    for (start, size), (following, _) in pairwise([*spans, (directory, 0)]):
        if start + size > following:
            return f"its members overlap at byte {following:,}"
    return None
