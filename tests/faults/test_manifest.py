"""The manifest itself: a flipped bit, a cut, an odd line, and a system that does not let it be read."""

import errno
import json
import os
import random
from pathlib import Path

import pytest

from capflow.data import manifest
from capflow.data.manifest import JOURNAL, TABLE, Entry, Manifest
from capflow.errors import CapflowError

ENTRIES = [
    Entry(f"a.org/{n}.jpg", f"https://a.org/{n}.jpg", "done", n, f"{n:064x}", "e", '"1"') for n in range(200)
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store with a table."""
    with Manifest(tmp_path) as record:
        record.note(ENTRIES)
    return tmp_path


def test_a_flipped_bit_is_never_read_as_something_else(folder: Path) -> None:
    whole, good, chance = (folder / TABLE).read_bytes(), manifest.read(folder), random.Random(1)
    said = []
    for _ in range(300):
        content = bytearray(whole)
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        (folder / TABLE).write_bytes(content)
        try:
            assert manifest.read(folder) == good
        except CapflowError as error:
            said.append(str(error))
    assert len(said) > 200
    assert all(sentence.startswith(f"{folder / TABLE}: is damaged (") for sentence in said)


def test_a_cut_table_is_never_read_as_something_else(folder: Path) -> None:
    whole = (folder / TABLE).read_bytes()
    for size in range(0, len(whole), 97):
        (folder / TABLE).write_bytes(whole[:size])
        with pytest.raises(CapflowError, match=r"is damaged \(.*\); remove it"):
            manifest.read(folder)


GOOD = json.loads(json.dumps(ENTRIES[0]))


@pytest.mark.parametrize(
    "line",
    [
        '["x", "http://a/x", "done", "12"]',
        '["a/b", 5, "done"]',
        '[["a"], "u", "done"]',
        '["a/b", "u", "nostate"]',
        '"abcdefghi"',
        '{"1": 1, "2": 1, "3": 1, "4": 1, "5": 1, "6": 1, "7": 1, "8": 1, "9": 1}',
        "[" * 100_000,
        *(
            json.dumps([*GOOD[:place], value, *GOOD[place + 1 :]])
            for place, value in [
                (0, ""),
                (0, ["a"]),
                (0, "\ud800"),
                (1, None),
                (2, "nostate"),
                (3, "12"),
                (3, True),
                (3, -1),
                (3, 1 << 63),
                (3, 1.5),
                (8, 0),
            ]
        ),
    ],
)
def test_an_odd_line_of_the_journal_is_left_out(folder: Path, line: str) -> None:
    (folder / JOURNAL).write_text(f"{line}\n{json.dumps(ENTRIES[1]._replace(path='new'))}\n")
    with Manifest(folder) as record:  # makes one table of both
        record.note([ENTRIES[2]._replace(path="newer")])
    assert sorted(manifest.read(folder)) == sorted([*(entry.path for entry in ENTRIES), "new", "newer"])


@pytest.mark.parametrize("name", [TABLE, JOURNAL])
@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.EMFILE])
def test_what_the_system_refuses_is_not_to_be_removed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, number: int
) -> None:
    read = Path.read_bytes

    def refused(path: Path) -> bytes:
        if path.name == name:
            raise OSError(number, os.strerror(number), str(path))
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", refused)
    with pytest.raises(CapflowError) as caught:
        manifest.read(folder)
    assert str(caught.value).startswith(f"{folder / name}: cannot be read ({os.strerror(number)}); keep it")
    assert "remove" not in str(caught.value)
