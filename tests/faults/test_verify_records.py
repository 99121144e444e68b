"""What `capflow verify` takes for the records, and what it says of what is not there."""

import shutil
from pathlib import Path

import pytest

from capflow import project
from capflow.data import manifest
from capflow.dvcfiles import cache_folder
from capflow.files import digest
from tests.faults.artifacts import STAGES, lay_out, object_of, rot, verified


@pytest.mark.parametrize("settings", [".dvc/config", ".dvc/config.local", "user/config", "system/config"])
def test_the_cache_is_where_the_settings_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(tmp_path / "user"))
    monkeypatch.setenv("DVC_SYSTEM_CONFIG_DIR", str(tmp_path / "system"))
    (tmp_path / settings).parent.mkdir()
    (tmp_path / settings).write_text(
        "[core]\n    analytics = false\n[cache]\n    dir = ../elsewhere\n['remote \"x\"']\n    url = y\n"
    )
    lay_out(tmp_path, tmp_path / "elsewhere")
    assert verified() == "7 files of 2 artifacts are as recorded\n"


def test_what_is_not_here_is_said(root: Path) -> None:
    shutil.rmtree(root / ".dvc/cache")
    shutil.rmtree(root / "out")
    (root / "model.bin").unlink()
    assert "not checked: model.bin" in verified()
    assert "not checked: out" in verified()


def test_the_settings_nearest_to_the_checkout_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(tmp_path / "user"))
    for name, line in (("user/config", "dir = /big/cache  # shared"), (".dvc/config", "dir = '~/own'")):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(f"[cache]\n    {line}\n")
    assert cache_folder(tmp_path) == Path("~/own").expanduser()
    (tmp_path / ".dvc/config").unlink()
    assert cache_folder(tmp_path) == Path("/big/cache")


def test_row_49_a_folder_is_checked_without_the_cache(root: Path) -> None:
    shutil.rmtree(root / ".dvc/cache")
    assert verified() == "2 files of 2 artifacts are as recorded\n"
    rot(root / "out/b/c.txt")
    sentence = verified("out")
    assert sentence.startswith("1 files are not as recorded:\n  out: md5 ")
    assert "rm -rf out\n" in sentence


def test_what_a_renamed_stage_made_is_left_out(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    (root / "dvc.yaml").write_text(STAGES.replace("make:", "build:"))
    assert "0 files of 0 artifacts" in verified()
    assert "not checked: what the stage make made, which dvc.yaml has no more" in caplog.text


def test_what_is_named_and_not_here_is_a_failure(root: Path) -> None:
    shutil.rmtree(root / ".dvc/cache")
    (root / "model.bin").unlink()
    assert "not checked: model.bin" in verified("model.bin", code=1)


def test_without_a_lock_cache_and_store_are_checked(root: Path) -> None:
    (root / "dvc.lock").unlink()
    assert verified() == (
        "not checked: the artifacts, for `dvc repro` has written no dvc.lock yet\n"
        "4 files of 4 artifacts are as recorded\n"
    )
    (root / ".dvc/cache/files/md5/00").mkdir()
    (root / ".dvc/cache/files/md5/00/.half-written").touch()
    fetch_one(root)
    assert "5 files of 5 artifacts" in verified()
    held = object_of(root / "model.bin", Path(".dvc/cache"))
    rot(root / held)
    assert f"\n  {held}: md5 " in verified()
    assert "1 files of 1 artifacts" in verified(".capflow")


def test_where_nothing_was_ever_made_there_is_nothing_to_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dvc.yaml").write_text(STAGES)
    assert "0 files of 0 artifacts" in verified()
    assert verified("model.bin").startswith("model.bin: neither dvc.lock nor the download store")


def fetch_one(root: Path) -> None:
    """Leave a file and its entry in the store, as a download does."""
    file = root / ".capflow/downloads/host/x.jpg"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"x" * 50)
    with manifest.Manifest(project.downloads()) as record:
        record.note([manifest.Entry("host/x.jpg", "https://host/x.jpg", "done", sha256=digest(file))])


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("dvc.lock", "{", "not valid YAML"),
        ("dvc.lock", "[]", "has no mapping `stages`; wait until DVC has ended, if it runs, else restore it"),
        ("dvc.lock", "", "has no mapping `stages`; wait until DVC has ended"),
        ("dvc.lock", "stages: {make: []}", "the stage make is not what DVC writes"),
        ("dvc.lock", "stages: {make: {outs: [{path: ../out}]}}", "the stage make is not what DVC writes"),
        ("dvc.yaml", "stages: []", "has no mapping `stages`; correct it."),
        (".dvc/config", "cache", "not valid settings"),
    ],
)
def test_bad_records_are_named(root: Path, name: str, content: str, problem: str) -> None:
    (root / name).write_text(content)
    sentence = verified()
    assert sentence.startswith(f"{root / name}: {problem}")
    assert "\n" not in sentence


def test_a_path_that_is_no_artifact_is_named(root: Path) -> None:
    assert verified("data").startswith("data: neither dvc.lock nor the download store")


def test_row_49_what_was_fetched_is_checked_too(root: Path) -> None:
    store = project.downloads()
    (store / "host").mkdir(parents=True)
    names = ("host/whole.jpg", "host/rotten.jpg", "host/removed.jpg")
    for name in names:
        (store / name).write_bytes(name.encode() * 50)
    with manifest.Manifest(store) as record:
        record.note(
            manifest.Entry(name, f"https://{name}", "done", sha256=digest(store / name)) for name in names
        )
    (store / names[2]).unlink()
    rot(store / names[1])
    sentence = verified(str(store))
    assert sentence.startswith("1 files are not as recorded:\n  .capflow/downloads/host/rotten.jpg: sha256 ")
    assert "rm -rf .capflow/downloads/host/rotten.jpg" in sentence
    (store / names[1]).unlink()
    assert "are as recorded" in verified()
