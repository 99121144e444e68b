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


def test_half_a_line_is_an_error_and_nothing_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, content: write(file, content[: len(content) // 2]))
    record = Manifest(tmp_path)
    with pytest.raises(OSError, match="No space left"), record:
        record.note([entry("x")])
    assert set(manifest.read(tmp_path)) == {"x"}
