"""Every command in the pages is run by a test, or commands.yaml says why not; and each is one that exists."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest
import yaml
from pydantic import TypeAdapter
from typing_extensions import TypedDict

from tests.checkout import ROOT
from tests.docs.pages import PAGES, Page, commands, parts, read, typed
from tests.docs.programs import complaint

LIST = Path(__file__).with_name("commands.yaml")


class Table(TypedDict):
    """commands.yaml."""

    run: dict[str, list[str]]
    not_run: dict[str, list[str]]
    no_commands: list[str]


TABLE = TypeAdapter(Table).validate_python(yaml.safe_load(LIST.read_text(encoding="utf-8")))
OTHERS = set(TABLE["no_commands"])
# Reasons for which a program need not know a command.
UNKNOWN = ("a placeholder, no command", "the decoder of the page, in a copy where its tests ran")


def listed() -> list[str]:
    return [line for lines in (*TABLE["run"].values(), *TABLE["not_run"].values()) for line in lines]


def written() -> dict[str, str]:
    """The commands of all pages, with the name of the first page that each stands on."""
    return {line: page.name for page in reversed(pages()) for line in commands(page, OTHERS)}


@cache
def pages() -> list[Page]:
    return [read(path) for path in PAGES]


def test_every_command_is_run_by_a_test_or_says_why_not() -> None:
    missing = [f"{page}: `{line}`" for line, page in written().items() if line not in listed()]
    assert not missing, (
        f"write into {LIST.relative_to(ROOT)} which test runs these, or why none does, or, if the block "
        "holds no commands, its first line under `no_commands`:\n" + "\n".join(missing)
    )


def test_the_list_has_nothing_twice_and_nothing_old() -> None:
    lines = listed()
    assert [line for line in lines if lines.count(line) > 1] == []
    assert [line for line in lines if line not in written()] == [], f"take these out of {LIST.name}"
    blocks = {block.lines[0] for page in pages() for block in page.blocks}
    assert OTHERS - blocks == set(), f"take these out of {LIST.name}"
    assert all(len(reason.split()) > 2 for reason in TABLE["not_run"])


@pytest.mark.parametrize("test", TABLE["run"])
def test_what_runs_commands_is_there_and_names_them(test: str) -> None:
    """The test exists, and its file, or what that takes from others, has the words of the command."""
    path, _, name = test.partition("::")
    assert name in functions(ROOT / path), f"there is no test {test}; correct {LIST.name}"
    if path == "tests/docs/test_typed.py":
        return  # it runs whatever is listed
    text = source(ROOT / path)
    for line in TABLE["run"][test]:
        for words in parts(line):
            for word in verbs(words):
                assert re.search(rf"\b{word}\b", text), f"{test} does not say {word}, as `{line}` does"


def functions(path: Path) -> set[str]:
    assert path.is_file(), f"there is no file {path.relative_to(ROOT)}; correct {LIST.name}"
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def source(path: Path) -> str:
    """The text of a test file, of the files of tests that it imports, and of its folder's conftest.py."""
    texts = [path.read_text(encoding="utf-8")]
    names = re.findall(r"^from (tests[.\w]*) import", texts[0], re.MULTILINE)
    files = [ROOT / (name.replace(".", "/") + ".py") for name in names]
    texts += [
        one.read_text(encoding="utf-8") for one in [*files, path.parent / "conftest.py"] if one.is_file()
    ]
    return "\n".join(texts)


def verbs(words: list[str]) -> list[str]:
    """The program's own words for what it is to do: ``exp`` and ``run`` of ``dvc exp run -S seed=2``."""
    found = re.match(r"(?: [a-z]+(?= |$)){0,2}", " " + " ".join(words[1:]))
    return found[0].split() if found and words[0] in {"capflow", "dvc", "mlflow"} else []


def test_every_command_is_one_that_its_program_knows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    whole = {line for page in pages() for line in typed(page, OTHERS)}
    unknown = {line for reason in UNKNOWN for line in TABLE["not_run"][reason]}
    wrong = []
    for line, page in written().items():
        if line in unknown:
            continue
        said = [complaint(words, whole=line in whole) for words in parts(line)]
        wrong += [f"{page}: `{line}`: {one}" for one in said if one]
    assert not wrong, "\n".join(wrong)


def test_a_command_that_nobody_listed_or_knows_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = ROOT / "docs" / "demo.md"
    text = (
        path.read_text(encoding="utf-8")
        + "\n    capflow dream --vivid    # new\n    x --y\n\nor `dvc fly -S a=1`."
    )
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: text)
    new = [line for line in commands(read(path), OTHERS) if line not in listed()]
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert new == ["capflow dream --vivid", "x --y", "dvc fly -S a=1"]
    assert complaint(["capflow", "dream"], whole=True).startswith("there is no command dream")
    assert complaint(["capflow", "caption", "--vivid", "a.jpg"], whole=True)
    assert complaint(["capflow", "show", "tests"], whole=True)
    assert complaint(["capflow", "--vivid"], whole=False) == "there is no option --vivid"
    assert complaint(["dvc", "fly"], whole=True)
    assert complaint(["dvc", "exp", "run", "--fast"], whole=False)
    assert complaint(["dvc", "exp", "run", "-S", "train.lrr=1"], whole=True).startswith("train.lrr=1")
    assert complaint(["dvc", "exp", "run", "-S", "train.lr=0.1,fast"], whole=True).startswith("train.lr=fast")
    assert complaint(["runs/coco2014.sh", "-S", "a=1"], whole=True)
    assert complaint(["runs/coco2041.sh"], whole=True)
    assert complaint(["make", "coffee"], whole=True) == "the Makefile has no coffee"
    assert complaint(["python", "-m", "benchmarks.nothing"], whole=True)
    assert not complaint(["dvc", "exp", "run", "-S", "decoder.name=lstm,updown"], whole=True)
