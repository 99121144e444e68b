"""What rots on the disk is named, with the way to get it back."""

import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from capflow import project, verify
from capflow.cli import app, main
from capflow.data import manifest
from capflow.errors import CapflowError
from capflow.files import digest

STAGES = """
stages:
  make:
    wdir: data
    cmd: python make.py
    deps: [make.py]
    outs:
      - ../out
      - ../model.bin
"""
MAKE = """
from pathlib import Path
Path("../out/b").mkdir(parents=True)
Path("../out/a.txt").write_text("A" * 5000)
Path("../out/b/c.txt").write_text("C" * 5000)
Path("../model.bin").write_text("M" * 5000)
"""
CONTENT = {"out/a.txt": "A", "out/b/c.txt": "C", "model.bin": "M"}


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


def store(cache: Path, content: bytes, end: str = "") -> str:
    """Put an object into a cache as DVC does; its name."""
    name = md5(content)
    path = cache / "files/md5" / name[:2] / f"{name[2:]}{end}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o444)
    return f"{name}{end}"


def lay_out(root: Path, cache: Path) -> None:
    """A checkout as `dvc repro` leaves it: outputs that are hard links into the cache, and dvc.lock."""
    digests = {name: store(cache, letter.encode() * 5000) for name, letter in CONTENT.items()}
    for name, known in digests.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        os.link(cache / "files/md5" / known[:2] / known[2:], root / name)
    listing = [{"md5": digests[name], "relpath": name[4:]} for name in ("out/a.txt", "out/b/c.txt")]
    folder = store(cache, json.dumps(listing, sort_keys=True).encode(), ".dir")
    (root / "data").mkdir()
    (root / "dvc.yaml").write_text(STAGES)
    outs = [
        {"path": "../out", "hash": "md5", "md5": folder},
        {"path": "../model.bin", "hash": "md5", "md5": digests["model.bin"]},
    ]
    (root / "dvc.lock").write_text(
        json.dumps({"schema": "2.0", "stages": {"make": {"cmd": "python make.py", "outs": outs}}})
    )


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    lay_out(tmp_path, tmp_path / ".dvc/cache")
    return tmp_path


def rot(path: Path) -> None:
    """Flip a byte and leave no trace: the time and the mode stay."""
    state = path.stat()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)
    path.chmod(state.st_mode)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def verified(*paths: str, code: int = 0) -> str:
    """What the command says; its error, where it has one."""
    result = CliRunner().invoke(app, ["verify", *paths])
    if isinstance(result.exception, CapflowError):
        return str(result.exception)
    assert result.exit_code == code, result.exception
    return result.output


def object_of(path: Path, cache: Path) -> str:
    name = md5(path.read_bytes())
    return str(cache / "files/md5" / name[:2] / name[2:])


def test_all_is_well(root: Path) -> None:
    assert verified() == "7 files of 2 artifacts are as recorded\n"
    assert verified("out/b") == "5 files of 1 artifacts are as recorded\n"
    assert verified(str(root / "model.bin"), "model.bin") == "2 files of 1 artifacts are as recorded\n"


@pytest.mark.parametrize("name", CONTENT)
def test_row_49_a_rotten_object_is_named(root: Path, name: str) -> None:
    held = object_of(Path(name), Path(".dvc/cache"))
    recorded = md5(Path(name).read_bytes())
    rot(root / held)
    sentence = verified()
    assert sentence.startswith("2 files are not as recorded:")
    for path in (name, held):
        assert f"\n  {path}: md5 {md5(Path(name).read_bytes())}, but {recorded} was recorded" in sentence
    assert f"rm -rf {name.partition('/')[0]} {held}\n" in sentence


def test_row_49_a_copy_in_the_workspace_and_an_object_rot_apart(root: Path) -> None:
    held = object_of(Path("model.bin"), Path(".dvc/cache"))
    shutil.copy(held, "copy")
    Path("copy").replace("model.bin")
    rot(root / held)
    assert "1 files are not as recorded" in verified("model.bin")
    assert f"rm -rf {held}\n" in verified("model.bin")
    assert verified("out").endswith("are as recorded\n")


def test_row_49_a_rotten_list_of_a_folder_is_named(root: Path) -> None:
    (listing,) = (root / ".dvc/cache").rglob("*.dir")
    rot(listing)
    assert f"{listing.relative_to(root)}: md5 " in verified("out")


def test_row_49_what_cannot_be_read_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> str:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(verify, "digest", fail)
    assert "model.bin: md5 unreadable (Input/output error), but" in verified("model.bin")


def test_the_exit_code_and_the_words(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rot(root / "model.bin")
    monkeypatch.setattr(sys, "argv", ["capflow", "verify"])
    with pytest.raises(SystemExit, match=r"error: 2 files are not as recorded:\n  model\.bin") as caught:
        main()
    assert caught.value.code not in (0, None)


@pytest.mark.parametrize("settings", [".dvc/config", ".dvc/config.local"])
def test_the_cache_is_where_the_settings_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".dvc").mkdir()
    (tmp_path / settings).write_text(
        "[core]\n    analytics = false\n[cache]\n    dir = ../elsewhere\n['remote \"x\"']\n    url = y\n"
    )
    lay_out(tmp_path, tmp_path / "elsewhere")
    assert verified() == "7 files of 2 artifacts are as recorded\n"


def test_what_is_not_here_is_said(root: Path) -> None:
    shutil.rmtree(root / ".dvc/cache")
    (root / "model.bin").unlink()
    assert "not checked: model.bin" in verified()
    assert "not checked: out" in verified()


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
        ("dvc.lock", "[]", "not what DVC writes"),
        ("dvc.lock", "stages: {other: {}}", "not what DVC writes"),
        ("dvc.lock", "stages: {make: {outs: [{path: ../out}]}}", "not what DVC writes"),
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


def test_row_49_the_remedy_helps(root: Path) -> None:
    (root / "data/make.py").write_text(MAKE)
    (root / ".dvc/config").write_text("[core]\n    no_scm = true\n    analytics = false\n")
    rot(root / "out/a.txt")
    remedy = re.search(r"rm -rf (.*)\n", verified())
    assert remedy
    for path in map(Path, shlex.split(remedy.group(1))):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    dvc_repro()
    assert verified() == "7 files of 2 artifacts are as recorded\n"
    assert (root / "out/a.txt").read_text() == "A" * 5000


def dvc_repro() -> None:
    """DVC itself, in the working directory."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DVC_")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "repro"],
        env=kept | {"PATH": path, "DVC_NO_ANALYTICS": "true"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout


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


def test_row_49_a_file_that_is_nowhere_is_named(root: Path) -> None:
    lost = root / "out/a.txt"
    Path(object_of(lost, root / ".dvc/cache")).unlink()
    lost.unlink()
    assert "out/a.txt: md5 unreadable (No such file or directory), but" in verified("out")
