"""The whole pipeline, by DVC, on photographs in a folder, with the stored features of a frozen encoder."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.checkout import Changes, make_checkout, ran, run

pytestmark = pytest.mark.slow
COLOURS = {"red": (200, 30, 30), "green": (30, 180, 40), "blue": (40, 50, 210)}
PARAMS = {
    "data": {"name": "folder"},
    "vocab": {"threshold": 1},
    "tensors": {"size": 64},
    "encoder": {
        "name": "squeezenet1_0",
        "trainable": False,
        "features": "pooled",
        "mirrored": True,
        "crops": 0,
    },
    "decoder": {"embedding": 16, "hidden": 24},
    "train": {"epochs": 1, "batch_size": 8, "batches": "length", "log_every": 1},
    "generate": {"batch_size": 4},
}


def take_photographs(folder: Path) -> None:
    """18 photographs to learn from and 6 to validate on, with two captions each; none to test on."""
    lines = ["image,caption,split"]
    random = np.random.default_rng(0)
    for number in range(24):
        name, colour = list(COLOURS.items())[number % 3]
        noise = random.integers(-25, 25, (60 + number, 90, 3))
        pixels = (np.array(colour) + noise).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.jpg")
        split = "val" if number % 4 == 3 else "train"
        lines += [f"{number}.jpg,A {name} wall.,{split}", f'{number}.jpg,"A wall, painted in {name}",{split}']
    (folder / "captions.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    photographs, folder = tmp_path_factory.mktemp("photographs"), tmp_path_factory.mktemp("capflow")
    take_photographs(photographs)
    data = {"name": "folder", "root": str(photographs)}
    changes: Changes = {"params.yaml": PARAMS | {"data": data}}
    make_checkout(folder, changes)
    return folder


def test_each_picture_has_the_features_of_both_its_views(checkout: Path) -> None:
    features = checkout / "data" / "features"
    assert json.loads((features / "features.json").read_text()) == {"stored": True}
    for split, pictures in (("train", 18), ("val", 6), ("test", 0)):
        stored = np.load(features / f"{split}.npy")
        assert stored.dtype == np.float16
        assert stored.shape == (pictures, 2, 1, 512)
    views = np.load(features / "train.npy").astype(np.float32)
    assert (views[:, 0] != views[:, 1]).any(-1).all()


def test_val_stands_in_where_test_has_no_captions(checkout: Path) -> None:
    predictions = checkout / "data" / "predictions"
    assert json.loads((predictions / "test.json").read_text()) == []
    assert len(json.loads((predictions / "val.json").read_text())) == 6
    assert "CIDEr" in json.loads((checkout / "metrics" / "scores.json").read_text())
    page = (checkout / "metrics" / "report" / "index.html").read_text()
    assert "6 scored pictures of the val split" in page
    assert "This data set has no test captions: the scores are those of val" in page
    assert "data:image/jpeg;base64," in page


def test_another_decoder_needs_no_new_features(checkout: Path) -> None:
    output = run(checkout, "dvc", "exp", "run", "-S", "decoder.hidden=20")
    assert ran(output) == ["train", "generate_captions", "evaluate"]
