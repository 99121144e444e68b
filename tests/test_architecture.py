"""The arrows between modules, and the deps of the stages: both as docs/architecture.md and dvc.yaml say."""

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.checkout import ROOT

SOURCE = ROOT / "src" / "capflow"
LAYERS = [
    *("errors", "memory", "interruption", "stuck", "engine", "bars", "processes", "joining"),
    *("files", "locks", "project", "scratch", "dvcfiles", "sections", "params"),
    *("text", "data", "models", "evaluation", "training"),
]
TOP = [
    *("tracking", "record", "photographs", "batching", "doorkeeper", "serving"),
    *("facts", "card", "identity", "verify", "revisions", "comparing", "demo", "cli"),
]
FORBIDDEN = {("evaluation", "models"), ("models", "data")}
PIPELINE: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


def imports(path: Path) -> set[str]:
    """The names of all modules that a file imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def layer(module: str) -> str:
    return module.split(".")[1]


def modules() -> list[Path]:
    return sorted(path for path in SOURCE.rglob("*.py") if path.parent != SOURCE or path.stem != "__init__")


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_point_up_the_list(path: Path) -> None:
    order = LAYERS + TOP
    own = path.relative_to(SOURCE).parts[0].removesuffix(".py")
    assert own in order, "a new module: give it a place in docs/architecture.md and here"
    for name in imports(path):
        if name.startswith("capflow.") and layer(name) in order:
            assert order.index(layer(name)) <= order.index(own), f"{own} imports {name}"
            assert (own, layer(name)) not in FORBIDDEN, f"{own} imports {name}"


def test_mlflow_and_dvc_stay_where_they_belong() -> None:
    files = [*SOURCE.rglob("*.py"), *(ROOT / "stages").glob("*.py")]
    users = {
        str(path.relative_to(SOURCE))
        for path in files
        if any(n.split(".")[0] == "mlflow" for n in imports(path))
    }
    own = ("connection", "machine", "models", "store", "troubles")
    assert users == {"serving.py", *(f"tracking/{name}.py" for name in own)}
    assert not [path for path in files if any(name.split(".")[0] == "dvc" for name in imports(path))]


# What others wrote is loaded once; each stage is imported by a fork of its own.
IMPORTS = """
import importlib, json, os, sys
import aiohttp, pandas, pyarrow.parquet, torch, torchvision
for stage in sys.argv[1:]:
    if child := os.fork():
        assert os.waitpid(child, 0)[1] == 0, stage
        continue
    importlib.import_module(f"stages.{stage}")
    files = [module.__file__ for module in [*sys.modules.values()] if getattr(module, "__file__", None)]
    print(json.dumps([stage, files]), flush=True)
    os._exit(0)
"""


@pytest.fixture(scope="module")
def loaded() -> dict[str, set[str]]:
    """The files of this project that importing each stage loads, and the data files beside them."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS, *PIPELINE], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return {stage: own_files(files) for stage, files in map(json.loads, done.stdout.splitlines())}


def own_files(names: list[str]) -> set[str]:
    files = {Path(name) for name in names}
    own = {path for path in files if path.is_relative_to(SOURCE) or path.is_relative_to(ROOT / "stages")}
    data = {path for code in own for path in code.parent.glob("*.*") if path.suffix not in {".py", ".typed"}}
    return {path.relative_to(ROOT).as_posix() for path in own | data}


@pytest.mark.parametrize("stage", sorted(PIPELINE))
def test_each_file_that_a_stage_loads_is_a_dependency(stage: str, loaded: dict[str, set[str]]) -> None:
    base = ROOT / PIPELINE[stage].get("wdir", ".")
    deps = {
        Path(base, dep).resolve().relative_to(ROOT).as_posix()
        for dep in PIPELINE[stage]["deps"]
        if not dep.startswith("${")
    }
    code = {dep for dep in deps if dep.startswith(("src/", "stages/"))}
    needed = {name for name in loaded[stage] if not is_empty(ROOT / name)}
    covered = {name for name in needed if any(name == dep or name.startswith(f"{dep}/") for dep in code)}
    assert needed - covered == set(), "add these to the stage's deps in dvc.yaml"
    unused = {dep for dep in code if not any(name == dep or name.startswith(f"{dep}/") for name in needed)}
    assert unused == set(), "take these out of the stage's deps in dvc.yaml"


def is_empty(path: Path) -> bool:
    """Whether a module holds nothing but a docstring: a change of it changes nothing."""
    return path.name == "__init__.py" and len(ast.parse(path.read_text()).body) <= 1


def test_every_stage_has_its_script() -> None:
    scripts = {path.stem for path in (ROOT / "stages").glob("*.py")} - {"__init__"}
    assert scripts == set(PIPELINE)
    for name, stage in PIPELINE.items():
        assert stage["cmd"].endswith(f"python -m stages.{name}")
