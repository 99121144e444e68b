"""The stage that captions splits: COCO results, and where the model looked at some pictures."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from capflow import project
from capflow.files import read_json, write_json
from capflow.models.captioner import Captioner, save_captioner
from capflow.models.gaze import gaze
from capflow.models.inputs import EncodedPixels
from stages import generate_captions
from tests.tiny import CPU, VOCABULARY, captioner, params, pixels

COUNT = 9


def prepare(decoder: str) -> Captioner:
    """A checkout with nine pictures of val, none of test, and a model; it is the working directory."""
    name, grid = {"name": decoder}, {"features": "grid", "trainable": True}
    Path("params.yaml").write_text(yaml.safe_dump(params(decoder=name, encoder=grid).model_dump(mode="json")))
    for split, rows in (("val", pixels(COUNT)), ("test", pixels(0))):
        write_json(project.TENSORS / f"{split}.json", {"ids": [100 + row for row in range(len(rows))]})
        np.save(project.TENSORS / f"{split}.npy", rows)
    model = captioner(0, sharpness=4, decoder=name, encoder=grid)
    save_captioner(project.MODEL, model, VOCABULARY)
    return model


@pytest.mark.parametrize("decoder", ["updown", "transformer"])
def test_where_the_model_looked_at_six_pictures_lies_beside_the_captions(
    decoder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model = prepare(decoder)
    generate_captions.main()
    said = {row["image_id"]: row["caption"] for row in read_json(project.PREDICTIONS / "val.json")}
    told = read_json(project.PREDICTIONS / "val.gaze.json")
    assert told["view"] == {"fit": "crop", "share": 1.0}
    assert len({record["image_id"] for record in told["pictures"]}) == 6
    inputs = EncodedPixels(pixels(COUNT), model, CPU)
    for image, words, maps in map(dict.values, told["pictures"]):
        assert " ".join(words) == said[image]
        [expected] = gaze(model, inputs(np.array([image - 100])), [said[image]], VOCABULARY)
        assert np.array(maps) == pytest.approx(expected.maps, abs=1e-5)
    assert any(record["words"] for record in told["pictures"])
    first = (project.PREDICTIONS / "val.gaze.json").read_bytes()
    generate_captions.main()
    assert (project.PREDICTIONS / "val.gaze.json").read_bytes() == first


@pytest.mark.parametrize(("decoder", "files"), [("lstm", set()), ("attention", {"val.gaze.json"})])
def test_a_split_without_pictures_and_a_model_without_attention_have_no_maps(
    decoder: str, files: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    prepare(decoder)
    generate_captions.main()
    written = {path.name for path in project.PREDICTIONS.iterdir()}
    assert written == {"val.json", "test.json"} | files
