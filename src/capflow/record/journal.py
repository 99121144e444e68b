"""A run's record on disk, until MLflow has all of it: lines that are only ever appended, and files.

``.capflow/record/<name>/journal.jsonl`` has a JSON object a line behind its checksum, so that a line that a
death or a full disk cut short is known and left out. ``files/<SHA-256>/`` has the artifacts, as hard links
where the file system allows it: they take no space, and what we write is replaced, never changed in place.
"""

import json
import os
import shutil
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from capflow.errors import CapflowError
from capflow.files import digest, replacing, sync
from capflow.locks import alone, in_turn
from capflow.tracking import address

Entry = dict[str, Any]
"""What one line says; ``kind`` says what sort of thing, ``at`` when it was, in milliseconds."""


_DONE = ".done"


class Line(NamedTuple):
    """An entry, and where the line after it begins."""

    entry: Entry
    end: int


def entry(kind: str, **content: Any) -> Entry:
    """An entry of this moment."""
    return {"kind": kind, "at": int(time.time() * 1000), **content}


class Journal:
    """The folder of one run."""

    def __init__(self, folder: Path) -> None:
        """Name a folder; nothing is written yet."""
        self.folder = folder
        self.path = folder / "journal.jsonl"
        self.note = folder / "sent.json"
        """How much of it is sent, and to which run."""

    def writing(self) -> AbstractContextManager[None]:
        """Hold this while there is more to come: the journal is not thrown away then."""
        return in_turn(self.folder.with_suffix(".writing"), "what sends the record")

    def sending(self) -> AbstractContextManager[None]:
        """Hold this while sending; refuses where another process does it."""
        return alone(self.folder.with_suffix(".sending"), "the record's sending")

    def append(self, entries: Iterable[Entry]) -> None:
        """Write entries, all or, where that fails, none.

        Raises:
            OSError: the disk is full, or refuses; the journal stays as it was.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        content = b"".join(map(_line, entries))
        with self.path.open("a+b", buffering=0) as stream:
            before = stream.seek(0, os.SEEK_END)
            if before and os.pread(stream.fileno(), 1, before - 1) != b"\n":
                content = b"\n" + content  # of a line that a death cut short
            try:
                while content:  # a disk that is nearly full takes a part, and then says why not the rest
                    content = content[stream.write(content) :]
            except OSError as error:
                stream.truncate(before)
                error.filename = error.filename or str(self.path)
                raise

    def sync(self) -> None:
        """Bring to the disk what was appended."""
        sync(self.path)

    def keep(self, file: Path, name: str) -> Entry:
        """Keep a file's content as it is now, and return the entry for it.

        Args:
            file: what is to be an artifact of the run.
            name: its path among the artifacts.

        Raises:
            OSError: the file cannot be read, or neither linked nor copied.
        """
        known = digest(file)
        target = self.file(known, name)
        if not target.exists():
            with replacing(target) as temporary:
                try:
                    os.link(file, temporary)
                except OSError:
                    shutil.copyfile(file, temporary)
        return entry("file", digest=known, name=name)

    def file(self, known: str, name: str) -> Path:
        """Where a file is kept."""
        return self.folder / "files" / known / Path(name).name

    def lines(self, start: int = 0) -> Iterator[Line]:
        """The lines from a place on; none, where there is no journal.

        A last line without its end is still being written, or never will be.
        """
        with suppress(FileNotFoundError), self.path.open("rb") as stream:
            end = stream.seek(start)
            for line in stream:
                if not line.endswith(b"\n"):
                    return
                end += len(line)
                if (read := _entry(line)) is not None:
                    yield Line(read, end)

    def first(self) -> Entry | None:
        """Which run this is, if there is a whole line."""
        return next((line.entry for line in self.lines()), None)

    def address(self) -> str:
        """Which store this is for: the one that was named last."""
        named = [line.entry["store"] for line in self.lines() if "store" in line.entry]
        return str(named[-1]) if named else ""

    def refused(self) -> "Journal":
        """Where that is kept which the store will never take; nobody sends it."""
        return Journal(self.folder.parent.with_name("refused") / self.folder.name)

    def close(self) -> None:
        """Say of a run whose process died that it was killed, when it last wrote; nothing where one writes.

        Raises:
            OSError: it cannot be written.
        """
        with suppress(CapflowError), alone(self.folder.with_suffix(".writing"), "the record's end"):
            state, at = "end", 0
            for line in self.lines():
                at = line.entry["at"]
                if line.entry["kind"] in {"begin", "end"}:
                    state = line.entry["kind"]
            if state == "begin":
                self.append([entry("end", status="KILLED", at=at)])

    def forget(self) -> None:
        """Let everything be sent again."""
        self.note.unlink(missing_ok=True)

    def remove_if(self, size: int) -> None:
        """Remove all, if nobody writes and there are no more than ``size`` bytes: those that were sent."""
        with suppress(CapflowError), alone(self.folder.with_suffix(".writing"), "the record's removal"):
            if self.size() <= size:
                self.remove()

    def remove(self) -> None:
        """Remove all."""
        done = self.folder.with_suffix(_DONE)
        self.folder.rename(done)
        shutil.rmtree(done)

    def size(self) -> int:
        """The journal's length in bytes."""
        return self.path.stat().st_size if self.path.exists() else 0


def journals(folder: Path) -> list[Journal]:
    """All journals below a folder, in the order in which they were begun."""
    paths = [path for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
    found = []
    for path in paths:
        if path.suffix == _DONE:  # of a process that was killed while it removed it
            shutil.rmtree(path, ignore_errors=True)
            continue
        if first := Journal(path).first():
            found.append((first["at"], path))
        else:
            Journal(path).remove_if(0)  # of a process that was killed before it wrote a line
    return [Journal(path) for _, path in sorted(found)]


def waiting(folder: Path) -> list[Journal]:
    """Those of the journals that wait for the store that is chosen now."""
    return [journal for journal in journals(folder) if journal.address() == address()]


def _line(entry: Entry) -> bytes:
    text = json.dumps(entry).encode()
    return b"%08x %b\n" % (zlib.crc32(text), text)


def _entry(line: bytes) -> Entry | None:
    """What a line says; None, if it is not as it was written."""
    checksum, _, text = line.rstrip(b"\n").partition(b" ")
    if checksum != b"%08x" % zlib.crc32(text):
        return None
    read: Entry = json.loads(text)
    return read
