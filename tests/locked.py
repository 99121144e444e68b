"""A checkout whose data/model was trained, captioned with and scored, as dvc.lock and metrics/ have it."""

import hashlib
import shutil
from pathlib import Path
from typing import Any

import yaml

from capflow import dvcfiles
from capflow.files import write_json
from tests.checkout import ROOT


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def recorded(folder: Path, weights: str = "none", **asked: object) -> None:
    """Let DVC have the data/model of a folder on record, with scores of val, captioned as asked."""
    shutil.copy(ROOT / "params.yaml", folder)
    shutil.copytree(ROOT / "data/sources/scenes", folder / "data/sources/scenes", dirs_exist_ok=True)
    write_json(folder / "metrics/scores.json", {"CIDEr": 0.875, "Bleu_4": 0.25})
    write_json(folder / "metrics/captions.json", {"captions": 1234})
    (folder / "metrics/per_image.csv").write_text("image_id,CIDEr\n7,0.875\n")
    write_json(folder / "data/tensors/test.json", {"ids": [1]})
    write_json(folder / "data/tensors/val.json", {"ids": [6, 7]})
    (folder / "dvc.yaml").write_text(
        yaml.safe_dump({"stages": {name: {} for name in ("train", "generate_captions", "evaluate")}})
    )
    model = dvcfiles.folder_digest(folder / "data/model", md5)
    write_lock(folder, model, model, weights, **asked)


def write_lock(
    folder: Path, trained: str, captioned: str, weights: str = "imagenet", **asked: object
) -> None:
    """Write dvc.lock: the digests of the model that was trained, and of the one that captioned."""
    chosen = {"data.name": "scenes", "encoder": {"weights": weights}, "train": {"lr": 0.002}}
    generate = {"generate": {"method": "beam", "models": [], **asked}}
    predictions = {"path": "data/predictions", "md5": "c.dir"}
    stages: dict[str, Any] = {
        "train": {"outs": [{"path": "data/model", "md5": trained}], "params": {"params.yaml": chosen}},
        "generate_captions": {
            "deps": [{"path": "data/model", "md5": captioned}],
            "outs": [predictions],
            "params": {"params.yaml": generate},
        },
        "evaluate": {"deps": [predictions]},
    }
    (folder / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))
