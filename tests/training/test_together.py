"""Several processes do what one does: the same losses, the same bytes, each caption once."""

import csv
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from safetensors.torch import save_file

from capflow import project
from capflow.files import read_json, write_json, write_text
from capflow.models.captioner import save_captioner
from tests.faults.trainings import lay_out, recorded
from tests.tiny import VOCABULARY, captioner, captions, params, pixels
from tests.together import Troop

RANKS = "tests.training.ranks"


def numbers(path: Path) -> np.ndarray[Any, Any]:
    with path.open() as stream:
        rows = list(csv.reader(stream))[1:]
    return np.array([[float(cell or "nan") for cell in row] for row in rows])


@pytest.mark.parametrize(
    ("decoder", "norms", "count"),
    [
        pytest.param("lstm", True, 2, marks=pytest.mark.slow),
        ("lstm", False, 2),
        pytest.param("attention", False, 2, marks=pytest.mark.slow),
        pytest.param("updown", False, 2, marks=pytest.mark.slow),
        pytest.param("transformer", False, 3, marks=pytest.mark.slow),
    ],
)
def test_losses_are_those_of_one_process(
    decoder: str, norms: bool, count: int, troop: Troop, record: Path, tmp_path: Path
) -> None:
    """Without dropout, which every process draws for itself; batches of two pictures are few for three.

    In another order the three batches of an epoch would have other losses.

    A norm of two rows leaves of gradients what rounding does, so where there are norms, all five pictures are
    a batch, of which processes have unequal parts.
    """
    steps = {"batch_size": 10, "accumulate": 1, "epochs": 4} if norms else {}
    folders = {number: tmp_path / str(number) for number in (1, count)}
    for number, folder in folders.items():
        lay_out(folder, record, decoder, lr=0.0005, scheduled_sampling=0.0, **steps)
        chosen = yaml.safe_load((folder / "params.yaml").read_text())
        chosen["decoder"] |= {"dropout": 0.0, "batch_norm": norms}
        (folder / "params.yaml").write_text(yaml.safe_dump(chosen))
        codes = troop.run(folder, "train", number)
        assert codes == number * [0], (folder / "train.txt").read_text()
    for name in ("train_steps.csv", "train_epochs.csv"):
        one, several = (numbers(folder / "metrics" / name) for folder in folders.values())
        np.testing.assert_allclose(several, one, atol=1e-4, rtol=0)
    assert len(recorded(folders[count])) == 1


@pytest.mark.parametrize(("what", "count"), [("gradients", 2), ("chances", 2), ("words", 2), ("words", 3)])
def test_what_processes_do_together(what: str, count: int, troop: Troop, tmp_path: Path) -> None:
    codes = troop.run(tmp_path, f"{RANKS}:{what}", count)
    assert codes == count * [0], said(tmp_path)


@pytest.mark.parametrize("count", [2, 3])
def test_they_look_at_pictures_together_and_stop_together(count: int, troop: Troop, tmp_path: Path) -> None:
    codes = troop.run(tmp_path, f"{RANKS}:looks", count, timeout=10)
    assert codes == count * [143], said(tmp_path)


def said(folder: Path) -> str:
    [path] = folder.glob("*.txt")
    return path.read_text()


def test_one_may_be_slower_by_more_than_others_wait(troop: Troop, tmp_path: Path) -> None:
    assert troop.run(tmp_path, f"{RANKS}:apart", 2, timeout=1) == [0, 0], said(tmp_path)


@pytest.mark.parametrize("when", ["error", "late"])
def test_an_error_that_all_have_is_said_once(when: str, troop: Troop, tmp_path: Path) -> None:
    assert troop.run(tmp_path, f"{RANKS}:{when}", 3) == [1, 1, 1]
    assert said(tmp_path).count("a sentence") == 1


@pytest.mark.parametrize("how", ["dead", "silent"])
def test_who_loses_touch_with_another_ends_with_a_sentence(how: str, troop: Troop, tmp_path: Path) -> None:
    codes = troop.run(tmp_path, f"{RANKS}:{how}", 2, timeout=1)
    assert codes == [1, 7]
    assert "the processes have lost touch with each other" in said(tmp_path)


def test_nobody_leaves_before_the_first_has_written_its_last_checkpoint(troop: Troop, tmp_path: Path) -> None:
    """What has started them may end all when one has left; it may tell them twice, or late."""
    codes = troop.run(tmp_path, f"{RANKS}:stopped", 3)
    assert codes == [143, 143, 143], said(tmp_path)


def test_who_loses_touch_where_all_were_to_end_has_ended_as_told(troop: Troop, tmp_path: Path) -> None:
    codes = troop.run(tmp_path, f"{RANKS}:ended", 2)
    assert codes == [7, 143], said(tmp_path)
    assert "lost touch" not in said(tmp_path)


@pytest.mark.parametrize("method", ["beam", "sample", pytest.param("consensus", marks=pytest.mark.slow)])
def test_captions_are_those_of_one_process_each_once(method: str, troop: Troop, tmp_path: Path) -> None:
    made = {}
    for count in (1, 2, 3):
        folder = tmp_path / str(count)
        prepare(folder, method)
        assert troop.run(folder, "generate_captions", count) == count * [0]
        made[count] = {
            path.name: path.read_bytes() for path in sorted((folder / project.PREDICTIONS).iterdir())
        }
    assert made[1] == made[2] == made[3]
    results = json.loads(made[1]["val.json"])
    assert [row["image_id"] for row in results] == list(range(100, 109))
    assert len({row["caption"] for row in results}) > 1


def prepare(folder: Path, method: str) -> None:
    """A model with attention and nine pictures, which are two batches and a bit."""
    decoder, grid = {"name": "attention"}, {"features": "grid", "trainable": True}
    chosen = params(
        decoder=decoder, encoder=grid, generate={"method": method, "lookalikes": 5.0, "hints": 3.0}
    )
    folder.mkdir()
    (folder / "params.yaml").write_text(yaml.safe_dump(chosen.model_dump(mode="json")))
    told, known = captions()
    told.save(folder / project.VOCAB / "train")
    write_text(folder / project.VOCAB / "vocab.json", VOCABULARY.to_json())
    for split, rows in (("train", pixels(5)), ("val", pixels(9)), ("test", pixels(0))):
        ids = known.tolist() if split == "train" else [100 + row for row in range(len(rows))]
        write_json(folder / project.TENSORS / f"{split}.json", {"ids": ids})
        np.save(folder / project.TENSORS / f"{split}.npy", rows)
    model = captioner(7, sharpness=4, decoder=decoder, encoder=grid)
    save_captioner(folder / project.MODEL, model, VOCABULARY)


def test_tensors_and_features_are_those_of_one_process(troop: Troop, tmp_path: Path) -> None:
    made = {}
    for count in (1, 2, 3):
        folder = tmp_path / str(count)
        pictures(folder)
        for stage in ("precompute_tensors", "extract_features"):
            assert troop.run(folder, stage, count) == count * [0], (folder / f"{stage}.txt").read_text()
        made[count] = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.suffix not in {".txt", ".zip"}
        }
    assert made[1] == made[2] == made[3]
    assert len(read_json(tmp_path / "1" / project.TENSORS / "train.json")["ids"]) == 139
    features = np.load(tmp_path / "1" / project.FEATURES / "train.npy")
    assert features.shape == (139, 2, 1, 128)
    assert len(np.unique(features.reshape(139, -1), axis=0)) == 139


def pictures(folder: Path) -> None:
    """140 pictures to learn from, two batches and a bit, one of them damaged; three of val, none of test."""
    encoder = {"weights": "none", "mirrored": True}
    chosen = params(encoder=encoder, data={"max_missing": 0.1})
    folder.mkdir()
    (folder / "params.yaml").write_text(yaml.safe_dump(chosen.model_dump(mode="json")))
    (folder / "data/images").mkdir(parents=True)
    for split, count in (("train", 140), ("val", 3), ("test", 0)):
        with zipfile.ZipFile(folder / project.IMAGES / f"{split}.zip", "w") as archive:
            for number, rows in enumerate(pixels(count)):
                stream = io.BytesIO()
                Image.fromarray(rows).save(stream, "PNG")
                content = stream.getvalue()
                archive.writestr(f"{number}.png", content[:100] if number == 77 else content)
        images = [{"id": 5 * number, "file_name": f"{number}.png"} for number in range(count)]
        write_json(folder / project.ANNOTATIONS / f"{split}.json", {"images": images, "annotations": []})
    model = captioner(7)
    weights = {name: tensor.contiguous() for name, tensor in model.encoder.backbone.state_dict().items()}
    (folder / project.ENCODER).mkdir(parents=True)
    save_file(weights, folder / project.ENCODER / "weights.safetensors")
