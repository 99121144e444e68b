"""The record of every file that was ever asked for: address, size, digest, when, state, reason.

It lives in the download store. Changes are appended to a journal, one JSON line each, which survives
a kill at any instant; at the end of a run, or at the start of the next one, the journal becomes part
of ``manifest.parquet``.
"""

import json
import os
import threading
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NamedTuple, Self, get_args

import pyarrow as pa
from pyarrow import json as arrow_json
from pyarrow import parquet

from capflow.errors import CapflowError
from capflow.files import replacing

State = Literal["done", "begun", "missing", "failed"]
TABLE, JOURNAL = "manifest.parquet", "manifest.journal"
# Reasons, and files, that the summary names.
_SHOWN = 10


class Entry(NamedTuple):
    """What is known of one file.

    Attributes:
        path: its place below the store's folder of downloads.
        url: where it comes from.
        state: ``done``: in its place, whole and checked; ``begun``: on its way; ``missing``: the
            server says that it has no such file; ``failed``: could not be had, see ``reason``.
        size: in bytes; of a file that has only begun, what the server announced, or 0.
        sha256: of the content, once it is done.
        edition: what it belongs to, see :class:`capflow.data.request.Request`.
        version: the server's name for the content: an ETag or the date of its last change; ``W/``
            before it says that it is too weak to join two parts by (RFC 9110, 8.8.1).
        reason: why it could not be had.
        when: of this entry, in UTC, ISO 8601.
    """

    path: str
    url: str
    state: State
    size: int = 0
    sha256: str = ""
    edition: str = ""
    version: str = ""
    reason: str = ""
    when: str = ""


# What the values of an entry are; a state is text.
_KINDS = tuple(int if kind is int else str for kind in Entry.__annotations__.values())


def rot(recorded: Entry | None, sha256: str) -> str | None:
    """What is wrong with a file of the store whose digest is ``sha256``; None when it is as it came."""
    if recorded is None or recorded.sha256 in {"", sha256}:
        return None
    return f"it has rotted in the store: its SHA-256 is {sha256} instead of {recorded.sha256}"


class Manifest:
    """The manifest, open for one process at a time; the caller holds the store's lock."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._prefix = folder, f"{folder}{os.sep}"
        self._entries: dict[str, Entry] = {}
        self._journal = -1
        self._unwritten = b""
        self._writing = threading.Lock()

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._entries = read(self._folder)
        self._compact()
        self._open()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.flush()
        finally:
            os.close(self._journal)
            self._compact()

    def path(self, file: Path) -> str:
        """How a file of the folder is called in the manifest."""
        return str(file).removeprefix(self._prefix)

    def get(self, file: Path) -> Entry | None:
        """What is known of a file of the folder."""
        return self._entries.get(self.path(file))

    def note(self, entries: Iterable[Entry]) -> None:
        """Record entries, with the time; a later one of the same path replaces an earlier one."""
        self.expect(entries)
        self.flush()

    def expect(self, entries: Iterable[Entry]) -> None:
        """Like :meth:`note`, but into the journal with the next :meth:`flush`, together with others."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        stamped = [_sayable(entry)._replace(when=now) for entry in entries]
        with self._writing:
            self._entries |= {entry.path: entry for entry in stamped}
            self._unwritten += "".join(json.dumps(entry) + "\n" for entry in stamped).encode()

    def flush(self) -> None:
        """Write to the journal what is not there yet; in one go, so that a kill leaves whole lines behind."""
        with self._writing:
            # A full disk takes a part, and refuses the rest.
            while self._unwritten:
                self._unwritten = self._unwritten[os.write(self._journal, self._unwritten) :]

    def _open(self) -> None:
        self._journal = os.open(self._folder / JOURNAL, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def _compact(self) -> None:
        """Move the journal into the table. A kill in between only moves the same lines again."""
        journal = self._folder / JOURNAL
        if self._entries and journal.exists() and journal.stat().st_size:
            with replacing(self._folder / TABLE) as temporary:
                parquet.write_table(_table(self._entries.values()), temporary, write_page_checksum=True)
        journal.unlink(missing_ok=True)
        for left in self._folder.glob(f".{TABLE}.*.tmp"):  # of a process that was killed while it did this
            left.unlink()


def read(folder: Path) -> dict[str, Entry]:
    """All entries by path, also while another process writes; empty where nothing was ever fetched.

    Raises:
        CapflowError: the table or the journal cannot be read, or the table is damaged.
    """
    # The journal that belongs to a table is there until the next table is.
    while True:
        before = _stamp(folder / TABLE)
        entries, lines = _read_table(folder / TABLE), _read_lines(folder / JOURNAL)
        if _stamp(folder / TABLE) == before:
            break
    for line in lines:
        with suppress(ValueError, RecursionError):  # a line that a bad disk has changed
            entry = _checked(json.loads(line))
            entries[entry.path] = entry
    return entries


def summary(entries: Iterable[Entry]) -> str:
    """A table of counts and bytes by server and state, then what is not there and the reasons."""
    kept = sorted(entries)
    servers: dict[str, Counter[str]] = {}
    for entry in kept:
        servers.setdefault(_server(entry), Counter())[entry.state] += 1
    lines = [f"{'server':40} {'done':>8} {'begun':>8} {'missing':>8} {'failed':>8} {'GB':>8}"]
    for server, counts in servers.items():
        numbers = " ".join(f"{counts[state]:>8,}" for state in get_args(State))
        size = sum(e.size for e in kept if e.state == "done" and _server(e) == server)
        lines.append(f"{server:40} {numbers} {size / 1e9:>8.3f}")
    absent = [entry for entry in kept if entry.state != "done"]
    reasons = Counter(entry.reason or "interrupted; the next run goes on" for entry in absent)
    if absent:
        lines += ["", *(f"{count:>8,}  {reason}" for reason, count in reasons.most_common(_SHOWN))]
        lines += ["", *(f"{entry.state:8}  {entry.path}" for entry in absent[:_SHOWN])]
    if len(absent) > _SHOWN:
        places = f"{TABLE} and, while a download runs, {JOURNAL}"
        lines.append(f"          and {len(absent) - _SHOWN:,} more; all are in {places}")
    return "\n".join(lines)


def _server(entry: Entry) -> str:
    return entry.path.partition("/")[0]


def _stamp(path: Path) -> tuple[int, int] | None:
    """Changes when another file takes the place."""
    try:
        state = path.stat()
    except FileNotFoundError:
        return None
    return state.st_ino, state.st_mtime_ns


def _read_lines(journal: Path) -> list[bytes]:
    """Whole lines; what follows the last line break is a line that a power cut tore."""
    return (_content(journal) or b"").split(b"\n")[:-1]


def _read_table(path: Path) -> dict[str, Entry]:
    content = _content(path)
    if content is None:
        return {}
    try:
        table = parquet.ParquetFile(pa.BufferReader(content), page_checksum_verification=True)
        columns = table.read(list(Entry._fields)).to_pydict()
        rows = zip(*(columns[name] for name in Entry._fields), strict=True)
        return {entry.path: entry for entry in map(_checked, rows)}
    except (OSError, ValueError, KeyError, TypeError, MemoryError, pa.ArrowException) as error:
        raise CapflowError(
            f"{path}: is damaged ({' '.join(str(error).split())}); remove it: the files beside it are "
            "taken up again, and not fetched."
        ) from None


def _content(path: Path) -> bytes | None:
    """All of a file, None where there is none. That the system refuses it says nothing against the file."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CapflowError(
            f"{path}: cannot be read ({error.strerror}); keep it, and correct what keeps the system from it."
        ) from None


def _checked(row: object) -> Entry:
    """An entry from a line of the journal or a row of the table.

    Raises:
        ValueError: nobody wrote this.
    """
    if not isinstance(row, list | tuple) or tuple(map(type, row)) != _KINDS:
        raise ValueError("it holds what is no entry")
    entry = Entry._make(row)
    if not entry.path or entry.state not in get_args(State) or not 0 <= entry.size < 2**63:
        raise ValueError("it holds an entry with a state or size that none has")
    "".join(str(value) for value in row).encode()  # lone surrogates cannot be written again
    return entry


def _sayable(entry: Entry) -> Entry:
    """Without characters that cannot be written, such as those that stand for a server's odd bytes."""
    reason, version = (text.encode("utf-8", "replace").decode() for text in (entry.reason, entry.version))
    return entry._replace(reason=reason, version=version)


def _table(entries: Iterable[Entry]) -> "pa.Table":
    """The entries as columns, in the order of their paths.

    They pass through Arrow's reader of JSON, because its conversion of lists imports pandas, which takes
    longer than most of what the downloader does.
    """
    kinds = {int: pa.int64(), str: pa.string()}
    types = {name: kinds[kind] for name, kind in zip(Entry._fields, _KINDS, strict=True)}
    lines = "\n".join(json.dumps(entry._asdict()) for entry in sorted(entries))
    options = arrow_json.ParseOptions(explicit_schema=pa.schema(types))
    return arrow_json.read_json(pa.BufferReader(lines.encode()), parse_options=options)
