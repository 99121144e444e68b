"""Archives from outside: refused as a whole when anything about them is odd, and what stood stays."""

import io
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from capflow.data import archives, zipcheck
from capflow.errors import CapflowError
from tests.faults.naming import works_or_names
from tests.photographs import jpeg

BIG = 50_000_000


def packed(*members: tuple[str, bytes], kind: int = stat.S_IFREG, method: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in members:
            member = zipfile.ZipInfo(name)
            member.filename = name  # ZipInfo itself would mend it
            member.external_attr = (kind | 0o644) << 16
            member.compress_type = method
            archive.writestr(member, content)
    return stream.getvalue()


def in_directory(archive: bytes, offset: int, field: str, value: int) -> bytes:
    """The archive with another value in the directory's entry of its first member."""
    start = archive.index(b"PK\x01\x02") + offset
    return archive[:start] + struct.pack(field, value) + archive[start + struct.calcsize(field) :]


def refused(path: Path) -> str:
    """The sentence of a refusal, which is the same whichever way the archive is looked at."""
    with pytest.raises(CapflowError) as whole, archives.pictures_in(path):
        pass
    with pytest.raises(CapflowError) as one:
        archives.read_member(path, "a.jpg")
    sentence = str(whole.value)
    assert str(one.value) == sentence
    assert sentence.startswith(f"{path}: ")
    assert (archives.zip_fault(path) or "").partition(": ")[0] in sentence
    return sentence


@pytest.mark.parametrize(
    "name", ["../x.jpg", "a/../../x.jpg", "/x.jpg", "C:\\x.jpg", "c:x.jpg", "a\\b.jpg", "..", "a\n.jpg"]
)
def test_row_18_members_that_leave_their_folder(tmp_path: Path, name: str) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(packed(("a.jpg", jpeg(1)), (name, jpeg(2))))
    assert f"refused, because its member {name!r}" in refused(path)


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFDIR])
def test_row_18_members_that_are_no_files(tmp_path: Path, kind: int) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(packed(("a.jpg", b"/etc/passwd"), kind=kind))
    assert "'a.jpg' is a link" in refused(path)


@pytest.mark.parametrize("twin", ["a.jpg", "./a.jpg", ".//a.jpg"])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_row_18_members_that_occur_twice(tmp_path: Path, twin: str) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(packed(("a.jpg", jpeg(1)), (twin, jpeg(2))))
    assert f"{twin!r} occurs twice" in refused(path)


@pytest.mark.parametrize(
    ("offset", "field", "value", "problem"),
    [
        (8, "<H", 1, "is encrypted"),
        (34, "<H", 2, "lies on part 3 of a split archive"),
        (10, "<H", zipfile.ZIP_LZMA, "is packed in another way"),
    ],
)
def test_row_18_members_that_are_locked_away(
    tmp_path: Path, offset: int, field: str, value: int, problem: str
) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(in_directory(packed(("a.jpg", jpeg(1))), offset, field, value))
    assert f"'a.jpg' {problem}" in refused(path)


def honest_bomb() -> bytes:
    return packed(("a.jpg", bytes(BIG)), method=zipfile.ZIP_DEFLATED)


def overlapping_bomb() -> bytes:
    """Two entries of the directory that share the bytes of one member."""
    one = packed(("a.jpg", bytes(1000)), ("b.jpg", bytes(1000)))
    second = one.rindex(b"PK\x01\x02") + 42
    return one[:second] + struct.pack("<I", 500) + one[second + 4 :]


def boasting_bomb() -> bytes:
    return in_directory(packed(("a.jpg", b"x")), 24, "<I", 0xFFFFFFFE)


@pytest.mark.parametrize(
    ("bomb", "problem"),
    [
        (honest_bomb, "more than 100 fold"),
        (overlapping_bomb, "overlap at byte 500"),
        (boasting_bomb, "more than 1,073,741,824"),
    ],
)
def test_row_19_bombs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bomb: Callable[[], bytes], problem: str
) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(bomb())

    def read(*_: Any, **__: Any) -> None:
        raise AssertionError("a member was opened")

    monkeypatch.setattr(zipfile.ZipFile, "open", read)
    assert problem in refused(path)


def test_row_19_many_members_make_a_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(packed(("a.jpg", jpeg(1)), ("b.jpg", jpeg(2))))
    monkeypatch.setattr(zipcheck, "_TOTAL_BYTES", 1000)
    assert "more than 1,000" in refused(path)


def test_row_19_small_members_together_make_a_bomb(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(packed(*((f"{n}.jpg", bytes(2**20)) for n in range(30)), method=zipfile.ZIP_DEFLATED))
    assert "to 31,457,280 bytes, more than 100 fold" in refused(path)


@pytest.mark.parametrize("comment", [b"", b"a comment" + b"\0" * 9])
@pytest.mark.parametrize("long", [False, True])
def test_row_19_too_many_members_are_refused_before_they_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, comment: bytes, long: bool
) -> None:
    path = tmp_path / "x.zip"
    with monkeypatch.context() as patch:
        if long:  # as archives of more than 65,535 members or 4 GiB are: ZIP64
            patch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 1)
        with zipfile.ZipFile(path, "w") as archive:
            archive.comment = comment
            for number in range(40):
                archive.writestr(f"{number}.jpg", b"")
    assert (b"PK\6\6" in path.read_bytes()) == long
    assert archives.zip_fault(path) is None
    monkeypatch.setattr(zipcheck, "_MEMBERS", 39)
    monkeypatch.setattr(zipfile.ZipFile, "infolist", lambda _: pytest.fail("the members were listed"))
    assert "it has 40 members, more than 39" in refused(path)
    monkeypatch.setattr(zipcheck, "_DIRECTORY_BYTES", 500)
    assert "its directory has " in refused(path)


def repacked(source: Path, target: Path) -> list[str]:
    """Write the pictures of one archive to another; the names of those that are left out."""
    with archives.pictures_in(source) as held:
        return [picture.file_name for picture in archives.pack(target, held, lambda name: held[name]())]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_row_20_damage_is_named_and_the_old_archive_stays(tmp_path: Path, method: int) -> None:
    path, old = tmp_path / "x.zip", tmp_path / "data.zip"
    good = packed(("a.jpg", jpeg(1)), ("b.jpg", jpeg(2)), method=method)
    archives.pack(old, ["a.jpg"], lambda _: jpeg(3))
    before = old.read_bytes()
    for length in range(0, len(good) - 1, 97):
        path.write_bytes(good[:length])
        assert "not a sound ZIP archive" in refused(path)
        with pytest.raises(CapflowError):
            repacked(path, old)
    for place in range(35, 35 + len(jpeg(1)) // 2, 29):
        path.write_bytes(good[:place] + bytes([good[place] ^ 0x55]) + good[place + 1 :])
        assert "a.jpg is damaged" in (archives.zip_fault(path) or "")
        with pytest.raises(CapflowError, match=rf"^{path}: member a\.jpg is damaged"):
            archives.read_member(path, "a.jpg")
        assert repacked(path, tmp_path / "y.zip") == ["a.jpg"]
    assert old.read_bytes() == before


GOOD = packed(("Images/", b""), ("Images/a.jpg", jpeg(1)), ("b.jpg", jpeg(2)), method=zipfile.ZIP_DEFLATED)
EDITS = st.lists(
    st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255), st.integers(0, 2)), min_size=1, max_size=6
)


@given(EDITS)
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_archive_is_read_or_named(tmp_path: Path, edits: list[tuple[int, int, int]]) -> None:
    content = bytearray(GOOD)
    for place, value, cut in edits:
        content[place : place + cut] = bytes([value])
    path = tmp_path / "x.zip"
    path.write_bytes(content)
    fault = archives.zip_fault(path)
    with works_or_names(f"{path}: "):
        with archives.pictures_in(path) as held:
            read = {name: len(picture()) for name, picture in held.items()}
        assert fault is None
        assert sum(read.values()) < 10**6
