import os
import stat
import zipfile
from pathlib import Path

import pytest

from capflow.data import archives
from capflow.data.sources import Missing
from capflow.errors import CapflowError
from tests.photographs import jpeg


def test_packs_the_same_bytes_each_time(tmp_path: Path) -> None:
    pictures = {f"{number}.jpg": jpeg(number) for number in (3, 1, 2)}
    for target in (tmp_path / "a.zip", tmp_path / "b.zip"):
        assert archives.pack(target, pictures, pictures.__getitem__) == []
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.namelist() == list(pictures)
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        assert stat.S_IMODE(archive.infolist()[0].external_attr >> 16) == 0o644
        assert archive.read("1.jpg") == pictures["1.jpg"]


def test_leaves_out_what_is_no_picture(tmp_path: Path) -> None:
    pictures = {"a.jpg": jpeg(1), "b.jpg": b"<html>", "c.jpg": b""}
    missing = archives.pack(tmp_path / "x.zip", [*pictures, "d.jpg"], pictures.__getitem__)
    assert missing == [
        Missing("b.jpg", "it is an HTML page"),
        Missing("c.jpg", "it is empty"),
        Missing("d.jpg", "there is no such file"),
    ]
    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        assert archive.namelist() == ["a.jpg"]


def test_a_bug_leaves_the_old_archive(tmp_path: Path) -> None:
    target = tmp_path / "x.zip"
    target.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError):
        archives.pack(target, ["a"], lambda _: bytes(1 // 0))
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_finds_damage(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    archives.pack(path, ["a.jpg"], lambda _: jpeg(1))
    assert archives.zip_fault(path) is None
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    assert "a.jpg is damaged" in (archives.zip_fault(path) or "")
    with archives.pictures_in(path) as held:
        missing = archives.pack(tmp_path / "y.zip", held, lambda name: held[name]())
    assert "member a.jpg is damaged" in missing[0].reason
    path.write_bytes(content[:-30])
    assert "not a sound ZIP" in (archives.zip_fault(path) or "")


def test_pictures_are_known_by_their_file_names(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.mkdir("Images")
        archive.writestr("Images/a.jpg", "A")
        archive.writestr("__MACOSX/Images/._a.jpg", "junk")
    with archives.pictures_in(path) as held:
        assert {name: read() for name, read in held.items()} == {"a.jpg": b"A"}
    assert archives.absent_from(path, ["a.jpg", "b.jpg"]) == [Missing("b.jpg", "x.zip holds no such file")]
    assert archives.read_member(path, "Images/a.jpg") == b"A"
    assert archives.read_member(path, "a.jpg") is None
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("More/a.jpg", "B")
    with pytest.raises(CapflowError, match=r"Images/a\.jpg and More/a\.jpg"), archives.pictures_in(path):
        pass


def test_names_what_is_no_archive(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with pytest.raises(CapflowError, match=r"x\.zip: there is no such file"), archives.pictures_in(path):
        pass
    path.write_bytes(b"<html>")
    with pytest.raises(CapflowError, match=r"x\.zip: not a sound ZIP"), archives.pictures_in(path):
        pass
    with pytest.raises(CapflowError, match=r"x\.zip: not a sound ZIP"):
        archives.read_member(path, "a")


def test_links_where_it_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "a"
    source.write_bytes(b"content")
    archives.link_or_copy(source, tmp_path / "data/b")
    assert (tmp_path / "data/b").samefile(source)

    def refuse(*_: object) -> None:
        raise OSError("another disk")

    monkeypatch.setattr(os, "link", refuse)
    archives.link_or_copy(source, tmp_path / "data/b")
    assert (tmp_path / "data/b").read_bytes() == b"content"
    assert not (tmp_path / "data/b").samefile(source)
