"""What rots on the disk is named, with the way to get it back."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from capflow import verify
from capflow.cli import main
from tests.faults.artifacts import CONTENT, md5, object_of, rot, verified

MAKE = """
from pathlib import Path
Path("../out/b").mkdir(parents=True)
Path("../out/a.txt").write_text("A" * 5000)
Path("../out/b/c.txt").write_text("C" * 5000)
Path("../model.bin").write_text("M" * 5000)
"""


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

    monkeypatch.setattr(verify, "_read", fail)
    assert "model.bin: md5 unreadable (Input/output error), but" in verified("model.bin")


def test_the_exit_code_and_the_words(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rot(root / "model.bin")
    monkeypatch.setattr(sys, "argv", ["capflow", "verify"])
    with pytest.raises(SystemExit, match=r"error: 2 files are not as recorded:\n  model\.bin") as caught:
        main()
    assert caught.value.code not in (0, None)


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
    shutil.rmtree(root / ".dvc/cache")  # what DVC recorded of a folder is what its files make
    assert verified() == "2 files of 2 artifacts are as recorded\n"


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


def test_row_49_a_file_that_is_nowhere_is_named(root: Path) -> None:
    lost = root / "out/a.txt"
    Path(object_of(lost, root / ".dvc/cache")).unlink()
    lost.unlink()
    assert "out/a.txt: md5 unreadable (No such file or directory), but" in verified("out")
