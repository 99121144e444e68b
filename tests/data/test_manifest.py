import errno
import os
from pathlib import Path

import pytest

from capflow.data import manifest
from capflow.data.manifest import Entry, Manifest


def entry(name: str) -> Entry:
    return Entry(name, f"https://a.org/{name}", "done", 3)


def test_reading_while_another_run_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Manifest(tmp_path) as record:
        record.note([entry("old")])
    running = Manifest(tmp_path).__enter__()
    running.note([entry("new")])
    read_table = manifest._read_table
    ends = [lambda: running.__exit__()]

    def slowly(path: Path) -> dict[str, Entry]:
        entries = read_table(path)
        if ends:
            ends.pop()()
        return entries

    monkeypatch.setattr(manifest, "_read_table", slowly)
    assert set(manifest.read(tmp_path)) == {"old", "new"}
    assert not (tmp_path / manifest.JOURNAL).exists()


def test_a_full_disk_is_an_error_and_nothing_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write, room = os.write, [30]

    def small_disk(file: int, content: bytes) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = write(file, content[: room[0]])
        room[0] -= written
        return written

    monkeypatch.setattr(os, "write", small_disk)
    with Manifest(tmp_path) as record:
        with pytest.raises(OSError, match="No space left"):
            record.note([entry("x")])
        assert manifest.read(tmp_path) == {}
        room[0] = 1 << 20
        record.note([entry("y")])
        assert set(manifest.read(tmp_path)) == {"x", "y"}


def test_what_is_expected_is_recorded_at_the_end(tmp_path: Path) -> None:
    with Manifest(tmp_path) as record:
        record.expect([entry("x")])
    assert set(manifest.read(tmp_path)) == {"x"}


def test_what_a_kill_left_half_written_goes(tmp_path: Path) -> None:
    left = tmp_path / f".{manifest.TABLE}.4711.tmp"
    left.write_bytes(b"PAR1")
    with Manifest(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []
