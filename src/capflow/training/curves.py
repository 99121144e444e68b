"""Training curves as tables, for ``dvc plots`` and the report."""

import io
from pathlib import Path

import pandas as pd

from capflow.files import write_text
from capflow.training.history import History


def write_curves(folder: Path, history: History) -> None:
    """Write ``train_steps.csv`` (step, train_loss or reward, lr) and ``train_epochs.csv`` (with val scores).

    ``train_loss`` is empty in the rows of self-critical training, and ``reward`` in all others.
    """
    for name, rows in (("train_steps", history.steps), ("train_epochs", history.epochs)):
        table = io.StringIO()
        pd.DataFrame(rows).to_csv(table, index=False, lineterminator="\n")
        write_text(folder / f"{name}.csv", table.getvalue())
