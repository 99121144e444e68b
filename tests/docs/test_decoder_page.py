"""A decoder that is added as docs/add-a-decoder.md says, with the tests that it names."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.checkout import ROOT, copy, environment
from tests.docs.pages import read
from tests.docs.test_commands import TABLE

PAGE = ROOT / "docs" / "add-a-decoder.md"
# What the golden loss is compared with; then the page's place for it.
_GOLDEN = re.compile(r"(?m)^E +assert ([\d.]+) == 0\.0")


def changed(text: str, hunk: str) -> str:
    """The text with the lines that are shown with - replaced by those with +, wherever they stand."""
    lines = hunk.splitlines(keepends=True)
    before = "".join(line[1:] for line in lines if line[0] in " -")
    after = "".join(line[1:] for line in lines if line[0] in " +")
    assert before in text, f"the page shows lines that are no longer there:\n{before}"
    return text.replace(before, after)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This checkout with the decoder of the page."""
    folder = tmp_path_factory.mktemp("decoder")
    copy(folder, lambda name: not name.startswith(("docs/screenshots/", "metrics/")))
    blocks = {block.language: "\n".join(block.lines) + "\n" for block in read(PAGE).blocks if block.language}
    (folder / "src/capflow/models/gru.py").write_text(blocks["python"], encoding="utf-8")
    for name, hunk in re.findall(r"# (\S+)\n((?:[ +-].*\n)+)", blocks["diff"]):
        path = folder / name
        path.write_text(changed(path.read_text(encoding="utf-8"), hunk), encoding="utf-8")
    return folder


def in_copy(folder: Path, command: str) -> "subprocess.CompletedProcess[str]":
    """Run a command with the package of the copy, which an editable install would not find."""
    paths = {"PYTHONPATH": f"{folder / 'src'}{os.pathsep}{folder}"}
    return subprocess.run(
        command.split(), cwd=folder, env=environment() | paths, capture_output=True, text=True, timeout=1800
    )


def test_what_the_page_shows_is_still_there() -> None:
    blocks = {block.language: "\n".join(block.lines) + "\n" for block in read(PAGE).blocks if block.language}
    hunks = re.findall(r"# (\S+)\n((?:[ +-].*\n)+)", blocks["diff"])
    assert len(hunks) == 6
    for name, hunk in hunks:
        changed((ROOT / name).read_text(encoding="utf-8"), hunk)
    compile(blocks["python"], "gru.py", "exec")


@pytest.mark.slow
def test_a_decoder_by_the_page(checkout: Path) -> None:
    first, *others = TABLE["run"]["tests/docs/test_decoder_page.py::test_a_decoder_by_the_page"]
    golden = in_copy(checkout, first).stdout
    assert golden.count("FAILED") == 2, golden  # the golden loss, in full and in reduced precision
    loss = _GOLDEN.search(golden)
    assert loss, golden
    path = checkout / "tests/models/test_decoders.py"
    path.write_text(path.read_text().replace('"gru": 0.0', f'"gru": {float(loss[1]):.6f}'))
    for command in (first, *others):
        done = in_copy(checkout, command)
        assert done.returncode == 0, done.stdout
