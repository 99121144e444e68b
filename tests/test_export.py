"""`capflow export`: a folder that captions elsewhere, and a card that tells no other model's scores."""

import hashlib
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from capflow import dvcfiles
from capflow.cli import main
from capflow.files import write_json
from tests.checkout import ROOT
from tests.served import model_folder
from tests.tiny import pixels


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout whose model was captioned with and scored."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    shutil.copytree(ROOT / "data/sources/scenes", tmp_path / "data/sources/scenes")
    shutil.copytree(model_folder(tmp_path / "made"), tmp_path / "data/model")
    (tmp_path / "data/model/search.json").unlink()
    model = dvcfiles.folder_digest(tmp_path / "data/model", md5)
    write_json(tmp_path / "metrics/scores.json", {"CIDEr": 0.875, "Bleu_4": 0.25})
    write_json(tmp_path / "metrics/captions.json", {"captions": 1234})
    (tmp_path / "dvc.yaml").write_text(
        yaml.safe_dump({"stages": {name: {} for name in ("train", "generate_captions", "evaluate")}})
    )
    write_lock(tmp_path, model, model)
    return tmp_path


def write_lock(folder: Path, trained: str, captioned: str) -> None:
    chosen = {"data.name": "scenes", "encoder": {"weights": "imagenet"}}
    predictions = {"path": "data/predictions", "md5": "c.dir"}
    stages: dict[str, Any] = {
        "train": {"outs": [{"path": "data/model", "md5": trained}], "params": {"params.yaml": chosen}},
        "generate_captions": {"deps": [{"path": "data/model", "md5": captioned}], "outs": [predictions]},
        "evaluate": {"deps": [predictions]},
    }
    (folder / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))


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
    for words in ("`scenes`", "ImageNet", "Apache-2.0", "| CIDEr | 0.8750 |", "1,234 pictures", "## Limits"):
        assert words in card
    assert "there is something already" in str(run(monkeypatch, "export", "out"))


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
