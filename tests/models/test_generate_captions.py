"""The stage that captions splits: COCO results, and where the model looked at some pictures."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from capflow import project
from capflow.files import read_json, write_json, write_text
from capflow.models.captioner import Captioner, save_captioner
from capflow.models.captioning import write_captions
from capflow.models.ensemble import Ensemble
from capflow.models.gaze import gaze
from capflow.models.inputs import EncodedPixels, Views
from capflow.params import load_params
from capflow.training.advice import open_advice
from stages import generate_captions
from tests.tiny import CPU, VOCABULARY, captioner, captions, params, pixels

COUNT = 9


def prepare(decoder: str, **generate: object) -> Captioner:
    """A checkout with five pictures of train, nine of val, none of test, and a model; one is in it."""
    name, grid = {"name": decoder}, {"features": "grid", "trainable": True}
    chosen = params(decoder=name, encoder=grid, generate=generate)
    Path("params.yaml").write_text(yaml.safe_dump(chosen.model_dump(mode="json")))
    told, known = captions()
    told.save(project.VOCAB / "train")
    write_text(project.VOCAB / "vocab.json", VOCABULARY.to_json())
    write_json(project.TENSORS / "train.json", {"ids": known.tolist()})
    np.save(project.TENSORS / "train.npy", pixels(len(known), seed=1))
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


@pytest.mark.parametrize(("method", "asked"), [("consensus", "lookalikes"), ("beam", "hints")])
def test_the_training_split_is_asked(
    method: str, asked: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = {}
    for weight in (0.0, 30.0):
        model = prepare("attention", method=method, **{asked: weight})
        generate_captions.main()
        said[weight] = [row["caption"] for row in read_json(project.PREDICTIONS / "val.json")]
        chosen, inputs = load_params(), EncodedPixels(pixels(COUNT), model, CPU)
        advice = open_advice(chosen, [model], len(VOCABULARY))
        wanted = write_captions(
            Ensemble([model.decoder]), range(COUNT), Views(inputs), VOCABULARY, chosen.generate, advice=advice
        )
        assert said[weight] == [*wanted.values()]
    assert said[0.0] != said[30.0]
