"""Links between the pages lead somewhere: to a file that is there, and to a heading of it."""

import re
from pathlib import Path

import pytest

from tests.checkout import ROOT, run
from tests.docs.pages import PAGES

FILES = [*PAGES, ROOT / "CHANGELOG.md"]
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} (.+?) *$", re.MULTILINE)
_CODE = re.compile(r"^```.*?^```|`[^`\n]+`", re.MULTILINE | re.DOTALL)


def anchors(path: Path) -> set[str]:
    """What GitHub calls the headings of a page: lower case, without punctuation, hyphens for blanks."""
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    found: set[str] = set()
    for heading in _HEADING.findall(text):
        name = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        again = sum(re.fullmatch(rf"{re.escape(name)}(-\d+)?", one) is not None for one in found)
        found.add(f"{name}-{again}" if again else name)
    return found


def broken(path: Path, text: str) -> list[str]:
    """The links of a page that lead nowhere; addresses of other machines are not asked."""
    wrong = []
    for target in _LINK.findall(_CODE.sub("", text)):
        if re.match(r"\w+:", target):
            continue
        name, _, heading = target.partition("#")
        file = (path.parent / name).resolve() if name else path
        if not file.exists() or not file.is_relative_to(ROOT):
            wrong.append(f"{target}: there is no such file")
        elif heading and file.suffix == ".md" and heading not in anchors(file):
            wrong.append(f"{target}: {name or path.name} has no such heading")
    return wrong


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files_and_headings(path: Path) -> None:
    assert broken(path, path.read_text(encoding="utf-8")) == []


def test_links_that_lead_nowhere_are_noticed() -> None:
    text = "[a](docs/nowhere.md) [b](docs/demo.md#nothing) [c](docs/demo.md#in-a-browser-tested) `[d](e)`\n"
    text += "[f](https://example.org/) [g](#the-stages) [h](#no-stages)"
    assert [one.partition(":")[0] for one in broken(ROOT / "README.md", text)] == [
        "docs/nowhere.md",
        "docs/demo.md#nothing",
        "#no-stages",
    ]


@pytest.mark.parametrize("path", sorted(ROOT.glob("docs/*.md")), ids=lambda path: path.name)
def test_the_readme_leads_to_every_page(path: Path) -> None:
    assert f"(docs/{path.name})" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_picture_is_shown_by_a_page() -> None:
    kept = [ROOT / name for name in run(ROOT, "git", "ls-files", "docs/*.png").split()]
    shown = {
        (path.parent / target).resolve()
        for path in FILES
        for target in _LINK.findall(path.read_text(encoding="utf-8"))
    }
    assert len(kept) > 4
    assert [path.name for path in kept if path not in shown] == []
