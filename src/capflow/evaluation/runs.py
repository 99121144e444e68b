"""A run that was evaluated: scores, curves, parameters and captions, from metrics/ and params.yaml."""

import csv
import io
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from capflow import project
from capflow.errors import CapflowError

PER_IMAGE = project.METRICS / "per_image.csv"


class Said(NamedTuple):
    """A picture's caption and its own scores by name."""

    file_name: str
    caption: str
    scores: dict[str, float]


@dataclass(frozen=True)
class Run:
    """What is known of a run.

    Attributes:
        name: what to call it.
        scores: of all pictures together, by name.
        parameters: those of params.yaml, nested keys with dots.
        steps: rows of ``train_steps.csv``.
        epochs: rows of ``train_epochs.csv``.
        pictures: by image id.
    """

    name: str
    scores: Mapping[str, float]
    parameters: Mapping[str, str]
    steps: list[dict[str, float]]
    epochs: list[dict[str, float]]
    pictures: Mapping[int, Said]


def read_run(name: str, read: Callable[[Path], bytes]) -> Run:
    """Put together what a checkout, or git, has of a run.

    Args:
        name: what to call it.
        read: gives the content of a file by its path in the checkout.

    Raises:
        CapflowError: a file is not what it should be, or what ``read`` raises.
    """

    def told(path: Path, parse: Callable[[str], Any]) -> Any:
        try:
            return parse(read(path).decode())
        except (ValueError, KeyError, TypeError, AttributeError, csv.Error, yaml.YAMLError) as error:
            reason = " ".join(str(error).split())
            raise CapflowError(
                f"{path} of {name}: not as Capflow writes it ({reason}); run `dvc repro` there."
            ) from None

    return Run(
        name,
        told(project.METRICS / "scores.json", _scores),
        told(Path("params.yaml"), lambda text: flat(yaml.safe_load(text))),
        told(project.METRICS / "train_steps.csv", numbers),
        told(project.METRICS / "train_epochs.csv", numbers),
        told(PER_IMAGE, _pictures),
    )


def _scores(text: str) -> dict[str, float]:
    return {name: float(value) for name, value in json.loads(text).items()}


def numbers(text: str) -> list[dict[str, float]]:
    """The rows of a table of numbers; what is empty is NaN. An empty text is a table without rows."""
    return [
        {name: float(value) if value else math.nan for name, value in row.items()}
        for row in csv.DictReader(io.StringIO(text, newline=""))
    ]


def _pictures(text: str) -> dict[int, Said]:
    rows = csv.DictReader(io.StringIO(text, newline=""))
    named = ("image_id", "file_name", "caption")
    return {
        int(row["image_id"]): Said(
            row["file_name"],
            row["caption"],
            {name: float(value) for name, value in row.items() if name not in named},
        )
        for row in rows
    }


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested parameters as they are written, by keys with dots."""
    found: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{key}.")
        else:
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            found[f"{prefix}{key}"] = text
    return found
