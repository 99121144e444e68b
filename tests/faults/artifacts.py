"""Artifacts as `dvc repro` leaves them, ways in which they rot, and what `capflow verify` says."""

import hashlib
import json
import os
from pathlib import Path

from typer.testing import CliRunner

from capflow.cli import app
from capflow.errors import CapflowError

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
