"""Runs a notebook without Jupyter: its code cells in order, and what a kernel would show of them."""

import ast
import json
import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pandas.io.formats.style import Styler

from tests.checkout import ROOT

TOUR = ROOT / "notebooks/tour.ipynb"


def code_of(notebook: Path) -> list[dict[str, Any]]:
    """The code cells."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def executed(notebook: Path, patch: pytest.MonkeyPatch) -> list[Any]:
    """Run the code cells; the values that they end with, what they display, and their figures.

    What else would end with a kernel, ``patch`` undoes: the working directory, the store that MLflow asks.
    """
    from matplotlib import pyplot as plt

    patch.chdir(Path.cwd())
    patch.setenv("MLFLOW_TRACKING_URI", os.environ.get("MLFLOW_TRACKING_URI", ""))
    patch.setattr("mlflow.tracking._tracking_service.utils._tracking_uri", None)
    plt.switch_backend("Agg")
    shown: list[Any] = []
    names: dict[str, Any] = {"__name__": "__main__", "display": shown.append}
    for number, cell in enumerate(code_of(notebook), 1):
        value = _run("".join(cell["source"]), f"cell {number}", names)
        figures = [plt.figure(figure) for figure in plt.get_fignums()]
        shown += [one for one in (value, *figures) if one is not None]
        plt.close("all")
    return shown


def table_in(shown: list[Any]) -> pd.DataFrame:
    """The table of runs."""
    (table,) = [one for one in shown if isinstance(one, Styler)]
    return table.data  # type: ignore[no-any-return, attr-defined]


def _run(source: str, name: str, names: dict[str, Any]) -> Any:
    """Run a cell; its value, if it ends with an expression that no semicolon hushes."""
    *body, last = ast.parse(source, name).body
    if not isinstance(last, ast.Expr) or source.endswith(";"):
        exec(compile(source, name, "exec"), names)
        return None
    exec(compile(ast.Module(body, []), name, "exec"), names)
    return eval(compile(ast.Expression(last.value), name, "eval"), names)
