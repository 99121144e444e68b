"""Files are complete or absent."""

import hashlib
from pathlib import Path

import pytest

from capflow.errors import CapflowError, sentence
from capflow.files import digest, folder_digest, read_json, replacing, write_json, write_text


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    write_json(target, {"good": 1})

    def write_half() -> None:
        with replacing(target) as temporary:
            temporary.write_text("half")
            raise InterruptedError

    with pytest.raises(InterruptedError):
        write_half()
    assert read_json(target) == {"good": 1}
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk that is always full")
def test_a_full_disk_is_told_by_the_name_of_the_file(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    with pytest.raises(OSError) as caught, replacing(target), open("/dev/full", "wb") as full:  # noqa: PTH123
        full.write(b"x")
    assert sentence(caught.value) == (
        f"{target}: No space left on device; make room on the disk and run again."
    )


def test_nobody_is_told_of_temporary_files(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    with pytest.raises(OSError) as caught, replacing(target) as temporary:
        temporary.read_bytes()
    assert caught.value.filename == str(target)


def test_json_keeps_every_letter_and_refuses_nan(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "a.json"
    write_json(target, {"caption": "Katze \u2028 \U0001f408"})
    assert read_json(target) == {"caption": "Katze \u2028 \U0001f408"}
    with pytest.raises(ValueError, match="JSON"):
        write_json(target, float("nan"))


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"<html>"])
def test_what_is_not_json_is_named(tmp_path: Path, content: bytes) -> None:
    target = tmp_path / "a.json"
    target.write_bytes(content)
    with pytest.raises(CapflowError, match=r"a\.json: not valid JSON"):
        read_json(target)


def test_a_missing_file_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(CapflowError, match="dvc repro"):
        read_json(tmp_path / "a.json")


def test_digests(tmp_path: Path) -> None:
    write_text(tmp_path / "x" / "a", "1")
    assert digest(tmp_path / "x" / "a") == hashlib.sha256(b"1").hexdigest()
    before = folder_digest(tmp_path)
    (tmp_path / "x").rename(tmp_path / "y")
    assert folder_digest(tmp_path) != before
