"""Models, data sets and sample captions in MLflow: there once, whatever was sent before; champions."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from capflow import project
from capflow.cli import main
from capflow.models.search import write_search
from capflow.params import Params, load_params
from capflow.record.journal import journals
from capflow.record.recorder import Scored, record_scores, training_run
from capflow.record.scoring import MODEL_TAG
from capflow.record.sending import send_all
from capflow.tracking import Store, models
from tests.checkout import ROOT
from tests.faults.trainings import empty_record
from tests.record.test_sending import without_mlflow
from tests.served import model_folder
from tests.tiny import pixels

PNG = b"\x89PNG"


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return empty_record(tmp_path_factory.mktemp("record"))


@pytest.fixture
def params(record: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    shutil.copy(record, tmp_path / "mlflow.db")
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    outs = [
        {"path": "data/vocab", "md5": "a" * 32 + ".dir"},
        {"path": "data/tensors", "md5": "b" * 32 + ".dir"},
    ]
    (tmp_path / "dvc.lock").write_text(yaml.safe_dump({"stages": {"some": {"outs": outs}}}))
    monkeypatch.chdir(tmp_path)
    return load_params(ROOT / "params.yaml")


def train(params: Params, name: str, folder: Path, samples: int = 2) -> None:
    with training_run(params, name) as recorder:
        recorder.picture(7, PNG, "seven.jpg", ["a dog runs", "the dog"])
        for epoch in range(1, samples + 1):
            recorder.log({"val_CIDEr": epoch / 10}, epoch)
            recorder.samples([(number, 7, f"a dog {number}") for number in range(1, epoch + 1)])
        recorder.tag(MODEL_TAG, name)
        recorder.model(folder, name, params.generate)


def run(*words: str) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["capflow", *words])
        with pytest.raises(SystemExit) as caught:
            main()
    return caught.value.code


def test_a_record_that_is_sent_twice_has_each_thing_once(params: Params, tmp_path: Path) -> None:
    with without_mlflow():
        train(params, "one", model_folder(tmp_path))
        record_scores("one", params, {"CIDEr": 0.9}, Scored("test", "0123"), {})
    kept = shutil.copytree(project.record(), tmp_path / "kept")
    for _ in range(2):
        store = Store()
        assert send_all(project.record(), store) == []
        assert journals(project.record()) == []
        (row,) = store.rows(MODEL_TAG, "one")
        found = store.client.get_run(row.run)
        assert found.inputs
        assert found.outputs
        data = {one.dataset.name: one.dataset.digest for one in found.inputs.dataset_inputs}
        assert data == {
            "scenes.vocab": "a" * 32 + ".dir",
            "scenes.tensors": "b" * 32 + ".dir",
            "scenes.test": "0123",
        }
        assert row.tags["capflow.test_digest"] == "0123"
        assert len(found.outputs.model_outputs) == 1
        assert len(store.client.search_logged_models([store.experiment])) == 1
        assert len(store.client.search_model_versions("name = 'capflow'")) == 1
        table = store.client.load_table(store.experiment, "samples.json", [row.run])
        assert table["caption"].tolist() == ["a dog 2", "a dog 1"]  # the last epoch first
        assert table["picture"][0]["filepath"] == "samples/7.png"
        assert table["file"][0] == "seven.jpg"
        assert table["people"][0] == "a dog runs | the dog"
        assert json.loads(row.tags["mlflow.loggedArtifacts"]) == [{"path": "samples.json", "type": "table"}]
        shutil.copytree(kept, project.record(), dirs_exist_ok=True)


def test_the_table_of_samples_stays_small(params: Params) -> None:
    with training_run(params, "long") as recorder:
        recorder.picture(7, PNG, "seven.jpg", ["a dog " * 1000])
        recorder.samples([(epoch, 7, "dog " * 1000) for epoch in range(1, 2001)])
        recorder.tag(MODEL_TAG, "long")
    store = Store()
    (row,) = store.rows(MODEL_TAG, "long")
    table = store.client.load_table(store.experiment, "samples.json", [row.run])
    assert (table["epoch"].max(), len(table)) == (2000, 600)
    assert len(table.to_json()) < 1_000_000


def test_a_model_can_be_asked_by_its_address(
    params: Params, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")  # as in queued experiments, MLflow's default is another store
    folder = model_folder(tmp_path)
    write_search(folder, params.generate)
    train(params, "one", folder)
    Image.fromarray(pixels(1)[0]).save("a.png")
    (row,) = Store().rows(MODEL_TAG, "one")
    told = []
    for address in (str(folder), f"runs:/{row.run}/model", "models:/capflow/1", "models:/capflow@latest"):
        assert run("caption", "--model", address, "a.png") == 0
        told.append(capsys.readouterr().out)
    assert len(set(told)) == 1
    code = run("caption", "--model", "models:/capflow@champion", "a.png")
    assert re.fullmatch(
        r"error: models:/capflow@champion: cannot be fetched \(.*[^.]\); .*`capflow promote` makes .*\.",
        str(code),
    )


def test_the_champion_is_the_best_of_one_test(
    params: Params, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = model_folder(tmp_path)
    assert "has no version at all of the model `capflow`" in str(run("promote"))
    for name, cider, test in (("one", 0.5, "x"), ("two", 0.4, "x"), ("three", 0.7, "y"), ("four", 0.6, "x")):
        train(params, name, folder)
        record_scores(name, params, {"CIDEr": cider}, Scored("test", test), {})
    assert run("promote", "1") == 0
    assert "version 1 is the champion now: CIDEr 0.5000" in capsys.readouterr().out
    assert "no more than the champion, version 1" in str(run("promote", "2"))
    assert "scored on another test (y) than the champion, version 1 (x)" in str(run("promote", "3"))
    assert run("promote") == 0
    assert "version 4 is the champion now, after version 1" in capsys.readouterr().out
    champion = models.named(Store(), models.CHAMPION)
    assert champion is not None
    assert champion.number == "4"
    assert run("promote") == 0
    assert "no version 9" in str(run("promote", "9"))
    train(params, "five", folder)
    assert "has no CIDEr on a known test" in str(run("promote"))


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"models": ("b",)}, "several models together"),
        ({"method": "consensus"}, "training captions helped"),
        ({"hints": 4.0}, "training captions helped"),
    ],
)
def test_scores_that_a_model_would_not_have_alone_make_no_champion(
    asked: dict[str, Any], told: str, params: Params, tmp_path: Path
) -> None:
    scored = params.model_copy(update={"generate": params.generate.model_copy(update=asked)})
    folder = model_folder(tmp_path)
    train(params, "one", folder)
    record_scores("one", scored, {"CIDEr": 0.5}, Scored("test", "x"), {})
    assert told in str(run("promote"))
    # As one of before this was refused.
    models.let_name(Store(), models.CHAMPION, "1")
    train(params, "two", folder)
    record_scores("two", params, {"CIDEr": 0.6}, Scored("test", "x"), {})
    code = str(run("promote", "2"))
    assert code.startswith("error: the champion cannot be compared with: version 1: ")
    assert code.endswith("Or take the alias away in `make ui`.")


def test_what_the_machine_does_is_recorded_on_request(
    params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("capflow.record.system._PAUSE", 0.0)
    for name, wanted in (("one", False), ("two", True)):
        monkeypatch.setenv("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", str(wanted))
        with training_run(params, name) as recorder:
            recorder.log({"lr": 0.1}, 1)
            recorder.tag(MODEL_TAG, name)
        (row,) = Store().rows(MODEL_TAG, name)
        assert ("system/cpu_utilization_percentage" in row.metrics) is wanted
