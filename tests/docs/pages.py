"""The pages that people read, and the commands in them.

Commands are all lines of indented and fenced blocks, and of code within the text what begins with the name of
a program and goes on. Blocks of other things are named in commands.yaml, so that none is overlooked.
"""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.checkout import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
PAGES += [*sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("data/*/README.md"))]
# Languages of fenced blocks that are commands.
_SHELL = {"", "bash", "sh", "shell", "console"}
_PROGRAMS = {
    *(".", "apt-get", "capflow", "cp", "curl", "docker", "dvc", "git", "make", "mlflow", "pip", "pytest"),
    *("python", "python3", "rm", "ssh", "torchrun", "ulimit", "uv"),
}
_SETS = re.compile(r"\w+=")
_CODE = re.compile(r"(?<!`)`([^`]+)`(?!`)")


class Block(NamedTuple):
    """A block of code: the language of its fence (none: empty), its lines."""

    language: str
    lines: list[str]


class Page(NamedTuple):
    """A page: its blocks, and the text between them."""

    name: str
    blocks: list[Block]
    text: str


def read(path: Path) -> Page:
    """Take a page apart."""
    blocks: list[Block] = []
    text: list[str] = []
    fence, open_block, blank = "", False, True
    for line in path.read_text(encoding="utf-8").splitlines():
        if fence:
            if line.startswith(fence):
                fence = ""
            else:
                blocks[-1].lines.append(line)
            continue
        if line.startswith("```"):
            fence, open_block = "```", False
            blocks.append(Block(line.strip("` "), []))
        elif line.startswith("    ") and (blank or open_block):
            if not open_block:
                blocks.append(Block("", []))
            open_block = True
            blocks[-1].lines.append(line[4:])
        elif not line and open_block:
            blocks[-1].lines.append("")
        else:
            open_block = False
            text.append(line)
        blank = not line
    return Page(path.relative_to(ROOT).as_posix(), blocks, "\n".join(text))


def shell_blocks(page: Page, others: set[str]) -> Iterator[Block]:
    """The blocks that are commands: all but those in other languages, and ``others`` by their first lines."""
    for block in page.blocks:
        if block.language in _SHELL and block.lines[0] not in others:
            yield block


def commands(page: Page, others: set[str]) -> list[str]:
    """The command lines of a page, without comments, each as often as it stands there."""
    return typed(page, others) + [span for span in _spans(page) if _is_command(span)]


def typed(page: Page, others: set[str]) -> list[str]:
    """Those of its blocks, which are to be typed as they stand there."""
    return [line for block in shell_blocks(page, others) for line in _lines(block)]


def _lines(block: Block) -> Iterator[str]:
    whole = ""
    for line in block.lines:
        whole += line
        if whole.endswith("\\"):
            whole = whole[:-1]
            continue
        if told := " ".join(_without_comment(whole).split()):
            yield told
        whole = ""


def _without_comment(line: str) -> str:
    """What stands before a ``#`` that begins a word outside of quotes."""
    for found in re.finditer(r"(?:^|(?<=\s))#", line):
        before = line[: found.start()]
        if before.count('"') % 2 == before.count("'") % 2 == 0:
            return before
    return line


def _spans(page: Page) -> Iterator[str]:
    for found in _CODE.finditer(page.text):
        yield " ".join(found[1].split())


def _is_command(span: str) -> bool:
    words = span.split()
    while words and _SETS.match(words[0]):
        words = words[1:]
    if not words:
        return False
    return re.fullmatch(r"runs/\w+\.sh", words[0]) is not None or (words[0] in _PROGRAMS and len(words) > 1)


def parts(line: str) -> list[list[str]]:
    """The single commands of a line, each as its words, without the variables that are set for it.

    Where the output goes is no part of them.
    """
    lexer = shlex.shlex(line.partition(" > ")[0], posix=True, punctuation_chars=";|&")
    lexer.whitespace_split, lexer.commenters = True, ""
    found: list[list[str]] = [[]]
    for word in lexer:
        if set(word) <= set(";|&"):
            found.append([])
        elif found[-1] or not _SETS.match(word):
            found[-1].append(word)
    return [words for words in found if words]
