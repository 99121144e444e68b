"""`capflow export`: a folder that captions elsewhere, and a card that tells no other model's scores."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from capflow import dvcfiles
from capflow.cli import main
from capflow.params import load_params
from capflow.record.recorder import Scored, record_scores, training_run
from capflow.record.scoring import MODEL_TAG
from capflow.tracking import Store
from tests.locked import md5, recorded, write_lock
from tests.served import model_folder
from tests.tiny import pixels


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout whose model was captioned with and scored."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(model_folder(tmp_path / "made"), tmp_path / "data/model")
    (tmp_path / "data/model/search.json").unlink()
    recorded(tmp_path, weights="imagenet")
    return tmp_path


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> Any:
    monkeypatch.setattr("sys.argv", ["capflow", *words])
    with pytest.raises(SystemExit) as caught:
        main()
    return caught.value.code


def test_the_folder_captions_where_there_is_no_checkout(
    checkout: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    Image.fromarray(pixels(1)[0]).save("a.png")
    assert run(monkeypatch, "caption", "a.png") == 0
    said = capsys.readouterr().out
    away = tmp_path_factory.mktemp("away")
    assert run(monkeypatch, "export", str(away / "model")) == 0
    shutil.move("a.png", away / "a.png")
    monkeypatch.chdir(away)
    capsys.readouterr()
    assert run(monkeypatch, "caption", "--model", "model", "a.png") == 0
    assert capsys.readouterr().out == said
    assert sorted(path.name for path in (away / "model").iterdir()) == [
        *("README.md", "config.json", "model.safetensors", "search.json", "vocab.json"),
    ]


def test_the_card_tells_data_licence_scores_and_limits(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(monkeypatch, "export", "out") == 0
    card = Path("out/README.md").read_text()
    for words in (
        "`scenes`",
        "ImageNet",
        "Apache-2.0",
        "| CIDEr | 0.8750 |",
        "On 1,234 pictures of the split val",
        "## Limits",
    ):
        assert words in card
    assert "there is something already" in str(run(monkeypatch, "export", "out"))


def front(folder: str) -> Any:
    return yaml.safe_load(Path(folder, "README.md").read_text().split("---\n")[1])


def test_the_front_matter_is_what_hugging_face_s_pages_read(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(monkeypatch, "export", "out") == 0
    told = front("out")
    assert (told["library_name"], told["pipeline_tag"], told["datasets"]) == (
        "capflow",
        "image-to-text",
        ["scenes"],
    )
    assert (told["license"], told["license_name"]) == ("other", "terms-of-the-data")  # ImageNet's
    [result] = told["model-index"][0]["results"]
    assert result["dataset"] == {"type": "scenes", "name": "scenes", "split": "val"}
    assert {"type": "cider", "name": "CIDEr", "value": 0.875} in result["metrics"]
    recorded(checkout, weights="none")
    assert run(monkeypatch, "export", "own") == 0
    assert "license" not in front("own")
    assert "names the licence at this card's head" in Path("own/README.md").read_text()


def test_drawn_captions_have_no_hints_whatever_is_asked(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded(checkout, method="sample", hints=4.0)
    assert run(monkeypatch, "export", "out") == 0
    assert "0.8750" in Path("out/README.md").read_text()


@pytest.mark.parametrize("asked", [{"method": "consensus"}, {"hints": 4.0}])
def test_a_card_has_no_scores_that_training_captions_helped_to_and_no_path_of_this_machine(
    asked: dict[str, Any], checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded(checkout, weights=str(checkout / "mine.npz"), **asked)
    assert run(monkeypatch, "export", "out") == 0
    card = Path("out/README.md").read_text()
    assert "None are on record for this model alone, searched for as it is here." in card
    assert "0.8750" not in card
    assert "The encoder started from `mine.npz`" in card
    assert str(checkout) not in card


def test_a_folder_is_given_on_with_what_its_card_says(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(monkeypatch, "export", "out") == 0
    assert run(monkeypatch, "export", "again", "--model", "out") == 0
    assert Path("again/README.md").read_text() == Path("out/README.md").read_text()
    shutil.copytree("data/model", "data/ensemble/second")
    assert run(monkeypatch, "export", "second", "--model", "data/ensemble/second") == 0
    card = Path("second/README.md").read_text()
    assert "What it was trained on is not on record." in card
    assert "0.8750" not in card
    assert "license" not in front("second")


def test_a_model_of_mlflow_has_the_card_of_its_run(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    params = load_params(checkout / "params.yaml")
    with training_run(params, "one") as recorder:
        recorder.tag(MODEL_TAG, "one")
        recorder.model(checkout / "data/model", "one", params.generate)
    record_scores("one", params, {"CIDEr": 0.75}, Scored("test", "x"), {})
    assert run(monkeypatch, "promote") == 0
    (row,) = Store().rows(MODEL_TAG, "one")
    for number, address in enumerate(
        ("models:/capflow@champion", "models:/capflow/1", f"runs:/{row.run}/model")
    ):
        assert run(monkeypatch, "export", f"out{number}", "--model", address) == 0
        card = Path(f"out{number}/README.md").read_text()
        for words in ("`scenes`", "| CIDEr | 0.7500 |", "On the pictures of the split test"):
            assert words in card
        assert (Path(f"out{number}") / "model.safetensors").read_bytes() == Path(
            "data/model/model.safetensors"
        ).read_bytes()
    assert "cannot be fetched" in str(run(monkeypatch, "export", "out", "--model", "models:/capflow/7"))
    assert not Path("out").exists()


def test_a_run_whose_captions_had_hints_has_no_scores_on_its_card(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = load_params(checkout / "params.yaml")
    params = params.model_copy(update={"generate": params.generate.model_copy(update={"hints": 4.0})})
    with training_run(params, "one") as recorder:
        recorder.tag(MODEL_TAG, "one")
        recorder.model(checkout / "data/model", "one", params.generate)
    record_scores("one", params, {"CIDEr": 0.75}, Scored("test", "x"), {})
    (row,) = Store().rows(MODEL_TAG, "one")
    assert run(monkeypatch, "export", "out", "--model", f"runs:/{row.run}/model") == 0
    card = Path("out/README.md").read_text()
    assert "None are on record" in card
    assert "0.7500" not in card


def test_scores_of_another_model_are_not_told(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_lock(checkout, dvcfiles.folder_digest(checkout / "data/model", md5), "another")
    assert run(monkeypatch, "export", "out") == 0
    card = Path("out/README.md").read_text()
    assert "None are on record" in card
    assert "0.8750" not in card


def test_a_model_that_is_not_on_record_has_no_card(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_lock(checkout, "another", "another")
    assert "not the model that dvc.lock has on record" in str(run(monkeypatch, "export", "out"))
    assert not Path("out").exists()
