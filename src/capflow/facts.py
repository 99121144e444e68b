"""What is on record about a model: data, learning rate, scores; by dvc.lock, by MLflow, or by its card."""

import csv
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from capflow import dvcfiles, project
from capflow.errors import CapflowError
from capflow.files import digest, read_json
from capflow.record.scoring import SPLIT_TAG
from capflow.tracking import Row

CARD = "README.md"
"""Of a model folder that was exported."""
KEY = "capflow"
"""Of the facts in the front matter of a card."""
SCORES = {
    **{f"Bleu_{n}": f"BLEU-{n}" for n in range(1, 5)},
    "METEOR": "METEOR",
    "ROUGE_L": "ROUGE-L",
    "CIDEr": "CIDEr",
    "SPICE": "SPICE",
    "truth": "truth",
    "truth_unseen": "truth, unseen",
}
"""The scores that a card tells, and what they are called."""


@dataclass(frozen=True)
class Facts:
    """What is on record about a model; what is not is empty.

    Attributes:
        data: the name of the data set.
        kind: what kind of data set it is.
        weights: what the encoder started from.
        start: what the whole model started from.
        rate: the learning rate.
        scores: of this very model and no other, and of captions as it finds them alone.
        split: that was scored.
        pictures: how many were scored.
    """

    data: str = ""
    kind: str = ""
    weights: str = ""
    start: str = ""
    rate: str = ""
    scores: Mapping[str, float] = field(default_factory=dict)
    split: str = ""
    pictures: int = 0

    def written(self) -> dict[str, Any]:
        """As a card has them, for :func:`in_card`."""
        return {name: value for name, value in asdict(self).items() if value}


def in_checkout(root: Path) -> Facts:
    """What a checkout has on record about its data/model.

    Raises:
        CapflowError: data/model is not what the last training made, by dvc.lock.
    """
    outs = {out.path.relative_to(root): out.digest for out in dvcfiles.outputs(root)}
    found = dvcfiles.folder_digest(root / project.MODEL, lambda path: digest(path, "md5"))
    if outs.get(project.MODEL) != found:
        raise CapflowError(
            f"{root / project.MODEL}: not the model that dvc.lock has on record, so nothing is known of it; "
            "run `dvc repro`, or `dvc checkout` for the recorded one."
        )
    params = dvcfiles.locked_params(root)
    name = str(params["data"]["name"])
    train = params.get("train", {})
    known = Facts(
        name,
        kind_of(root, name),
        weights=_named(str(params["encoder"]["weights"])),
        start=_named(str(train.get("start", ""))),
        rate=str(train.get("lr", "")),
    )
    asked = params.get("generate", {})
    alone = not asked.get("models") and by_itself({f"generate.{key}": asked[key] for key in asked})
    if not (_is_scored(root, outs) and alone):
        return known
    scores = read_json(root / project.METRICS / "scores.json")
    pictures = read_json(root / project.METRICS / "captions.json")["captions"]
    return replace(known, scores=scores, split=_split(root), pictures=pictures)


def of_run(root: Path, row: Row) -> Facts:
    """What MLflow has on record about the model of a run."""
    told = row.params.get
    name = told("data.name", "")
    alone = told("generate.models", "()") == "()" and by_itself(row.params)
    scored = SPLIT_TAG in row.tags and alone
    scores = {key: row.metrics[key] for key in SCORES if scored and key in row.metrics}
    split = row.tags[SPLIT_TAG] if scores else ""
    weights, start = (_named(told(key, "")) for key in ("encoder.weights", "train.start"))
    return Facts(name, kind_of(root, name), weights, start, told("train.lr", ""), scores, split)


def by_itself(params: Mapping[str, Any]) -> bool:
    """Whether captions were found without help by training captions, which a model elsewhere has not.

    Args:
        params: values by dotted name, as they are or as MLflow has them; older ones lack hints.
    """
    method = params.get("generate.method")
    return method == "sample" or (method != "consensus" and not float(params.get("generate.hints", 0)))


def in_card(folder: Path) -> Facts:
    """What the card of an exported model says; nothing, where there is none, or one of somebody else's."""
    try:
        head = (folder / CARD).read_text(encoding="utf-8").split("---\n")[1]
        return Facts(**yaml.safe_load(head)[KEY])
    except (OSError, ValueError, LookupError, TypeError, yaml.YAMLError):
        return Facts()


def kind_of(root: Path, name: str) -> str:
    """Of a data set in the catalogue of a checkout; nothing, where it is there no more."""
    path = root / project.SOURCES / name / "dataset.yaml"
    return str(yaml.safe_load(path.read_bytes())["kind"]) if name and path.is_file() else ""


def _named(path: str) -> str:
    """Where something lies on one machine is nothing to tell others: of an absolute path the last part."""
    return Path(path).name if Path(path).is_absolute() else path


def _is_scored(root: Path, outs: Mapping[Path, str]) -> bool:
    """Whether the scores are of the captions that this model wrote."""
    read = dvcfiles.inputs(root)
    chain = (("generate_captions", project.MODEL), ("evaluate", project.PREDICTIONS))
    return all(outs.get(path) == read.get((stage, path)) for stage, path in chain)


def _split(root: Path) -> str:
    """The split that was scored: the one that has the first scored picture. No picture is in two."""
    table = root / project.METRICS / "per_image.csv"
    if not table.is_file():
        return ""
    with table.open(encoding="utf-8", newline="") as lines:
        first = next(csv.DictReader(lines), {}).get("image_id")
    rows = {split: root / project.TENSORS / f"{split}.json" for split in ("test", "val")}
    has = (split for split, path in rows.items() if path.is_file() and first in _ids(path))
    return next(has, "")


def _ids(path: Path) -> set[str]:
    return {str(image) for image in read_json(path)["ids"]}
