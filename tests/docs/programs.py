"""What programs would say of a command, without running it: each is asked by its own parser."""

import argparse
import contextlib
import importlib.util
import io
import os
import re
import shutil
import warnings
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import typer
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser

from capflow.params import Params
from capflow.sections import parse
from tests.checkout import ROOT
from tests.test_recipes import apply

Words = Sequence[str]


def complaint(words: Words, *, whole: bool) -> str:
    """What is wrong with a single command, or nothing; programs that are not known here say nothing.

    Args:
        words: the program and its arguments.
        whole: whether it is to be typed so; else it may lack arguments, as within a sentence.
    """
    program = "run" if re.fullmatch(r"runs/\w+\.sh", words[0]) else words[0]
    judge = _JUDGES.get(program)
    return judge(words, whole) if judge else ""


def _capflow(words: Words, whole: bool) -> str:
    from capflow.cli import app

    return _click(typer.main.get_command(app), words, whole)


def _mlflow(words: Words, whole: bool) -> str:
    return _click(_mlflows(), words, whole)


@cache
def _mlflows() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what it loads
        from mlflow.cli import cli  # takes seconds

        return cli


def _click(command: Any, words: Words, whole: bool) -> str:
    """Ask the command itself, of click or of typer's own copy of it."""
    name, *rest = words
    while hasattr(command, "commands") and rest and not rest[0].startswith("-"):
        name = rest.pop(0)
        if name not in command.commands:
            return f"there is no command {name}, but {', '.join(command.commands)}"
        command = command.commands[name]
    if hasattr(command, "commands"):
        return _option(command, rest[0]) if rest else "it lacks a command" * whole
    try:
        with _silence():
            command.make_context(name, rest if whole else [*rest, "--help"])
    except Exception as error:  # two copies of click have classes of their own
        if not hasattr(error, "exit_code"):
            raise
        said = str(getattr(error, "message", ""))  # nothing, where it has shown its help
        return said if whole or "requires an argument" not in said else ""
    return ""


def _option(command: Any, option: str) -> str:
    """Whether a group of commands has an option: some of them act at once, so none is tried."""
    known = {name for parameter in command.params for name in parameter.opts} | {"--help"}
    return "" if option in known else f"there is no option {option}"


def _dvc(words: Words, whole: bool) -> str:
    from dvc.cli import DvcParserError, parse_args

    try:
        with _silence():
            asked = parse_args([*words[1:]])
    except DvcParserError:
        if whole or any(word.startswith("-") for word in words):
            return "dvc does not understand it"
        return _dvc([*words, "--help"], whole=True)
    except SystemExit:  # it has shown its help: there is such a command, if it lacks something
        return ""
    return _settings(getattr(asked, "set_param", None) or [])


def _settings(settings: Sequence[str]) -> str:
    """Whether parameters exist and take such values: each one by itself, beside those of the checkout."""
    for setting in settings:
        key, _, value = setting.partition("=")
        if value == "...":
            continue
        override = OverridesParser.create().parse_override(f"value={value}")
        values = override.sweep_string_iterator() if override.is_sweep_override() else [value]
        for one in values:
            if said := _setting(f"{key}={one}"):
                return said
    return ""


# These want others beside them.
_TOGETHER = {"train.epochs=0": ["train.start=some", "train.self_critical.epochs=1"]}


def _setting(setting: str) -> str:
    place = Path("parameters")
    shutil.rmtree(place, ignore_errors=True)
    (place / "data").mkdir(parents=True)
    shutil.copy(ROOT / "params.yaml", place)
    shutil.copytree(ROOT / "data" / "sources", place / "data" / "sources")
    try:
        for one in [*_TOGETHER.get(setting, []), setting]:
            apply(place, one)
        path = place / "params.yaml"
        parse(yaml.safe_load(path.read_text()), Params, path)
    except Exception as error:  # noqa: BLE001 - whatever is said of it
        return f"{setting}: {error or 'there is no such parameter'}"
    return ""


def _make(words: Words, whole: bool) -> str:
    targets = re.findall(r"^([\w.-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    wanted = [word for word in words[1:] if "=" not in word]
    return "".join(f"the Makefile has no {word}" for word in wanted if word not in targets)


def _recipe(words: Words, whole: bool) -> str:
    path = ROOT / words[0]
    if not os.access(path, os.X_OK):
        return f"there is no program {words[0]}"
    return _dvc(["dvc", "exp", "run", *words[1:]], whole=True) if len(words) > 1 else ""


def _python(words: Words, whole: bool) -> str:
    if len(words) < 3 or words[1] != "-m":
        return "commands of Python are written with -m and the name of a module"
    if words[2] == "pytest":
        named = [word.partition("::")[0] for word in words[3:] if word.startswith("tests")]
        return "".join(f"there is no {name}" for name in named if not (ROOT / name).exists())
    try:
        found = importlib.util.find_spec(words[2])
    except ModuleNotFoundError:
        found = None
    return "" if found else f"there is no module {words[2]}"


def _torchrun(words: Words, whole: bool) -> str:
    from torch.distributed.run import get_args_parser

    parser: argparse.ArgumentParser = get_args_parser()
    try:
        with _silence():
            parser.parse_args(words[1:])
    except SystemExit:
        return "torchrun does not understand it"
    return ""


@contextlib.contextmanager
def _silence() -> Any:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


_JUDGES: dict[str, Callable[[Words, bool], str]] = {
    "capflow": _capflow,
    "dvc": _dvc,
    "make": _make,
    "mlflow": _mlflow,
    "python": _python,
    "run": _recipe,
    "torchrun": _torchrun,
}
