"""What the page of ``capflow demo`` offers and tells, without the page; tests/browser has that."""

import importlib.util
import re
import shutil
import socket
from contextlib import suppress
from pathlib import Path

import pytest
from typer.testing import CliRunner

from capflow import facts
from capflow.cli import app
from capflow.cli.demo import named
from capflow.demo import choices
from capflow.demo.answer import BEST, answer, coded
from capflow.demo.choices import models_of
from capflow.errors import CapflowError
from capflow.models.captioner import save_captioner
from capflow.params import ELSEWHERE, load_params
from capflow.record.recorder import training_run
from capflow.tracking import Store
from tests.checkout import ROOT
from tests.locked import recorded
from tests.photographs import photograph, saved
from tests.tiny import VOCABULARY, captioner

SEARCH = ELSEWHERE.model_copy(update={"beam": BEST})
PHOTO = saved(photograph(), "PNG")


def save(folder: Path, decoder: str, seed: int = 0) -> Path:
    model = captioner(seed, sharpness=4, decoder={"name": decoder}, encoder={"features": "grid"})
    save_captioner(folder, model, VOCABULARY)
    return folder


def test_models_of_the_checkout_and_of_finished_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    (tmp_path / "data/ensemble/half").mkdir(parents=True)
    with pytest.raises(CapflowError, match=r"data/model: there is no model yet; `make repro` trains one\."):
        models_of(tmp_path)
    assert not (tmp_path / "mlflow.db").exists()
    save(tmp_path / "data/model", "lstm")
    save(tmp_path / "data/ensemble/second", "lstm")
    monkeypatch.setenv("DVC_EXP_NAME", "bold-try")
    record(tmp_path / "data/model")
    offered = models_of(tmp_path)
    assert [offer.name for offer in offered.values()][:2] == [
        "data/model: lstm",
        "data/ensemble/second: lstm",
    ]
    assert "is not on record" in offered[str(tmp_path / "data/model")].hint
    [(folder, offer)] = [*offered.items()][2:]
    assert offer.name == "run bold-try: lstm, learning rate 0.003"
    assert "learnt from the data set scenes" in offer.hint  # its kind is not known: there is no catalogue
    assert (Path(folder) / "vocab.json").is_file()
    address = f"runs:/{Store().finished()[0][0].run}/model"
    fetched, away = named([address, "data/ensemble/second"], tmp_path / "data").items()
    assert fetched[1].name == f"{address}: lstm, learning rate 0.003"
    assert (Path(fetched[0]) / "vocab.json").read_bytes() == (Path(folder) / "vocab.json").read_bytes()
    assert away == ("data/ensemble/second", offered[str(tmp_path / "data/ensemble/second")])
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    assert len(models_of(tmp_path)) == 2


def test_the_checkout_s_model_tells_what_dvc_has_on_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    recorded(save(tmp_path / "data/model", "attention").parents[1])
    [offer] = models_of(tmp_path).values()
    assert offer.name == "data/model: attention, learning rate 0.002, CIDEr 0.88 on val"
    assert offer.hint.startswith("This model knows generated scenes of coloured shapes and nothing else")
    (tmp_path / "away").mkdir()
    (tmp_path / "away/README.md").write_text("---\ncapflow: {data: mine, kind: folder, split: val}\n---\n")
    shutil.copytree(tmp_path / "data/model", "away", dirs_exist_ok=True)
    [elsewhere] = choices.offered([("away", Path("away"), facts.in_card(Path("away")))]).values()
    assert elsewhere.name == "away: attention"
    assert "somebody's own photographs" in elsewhere.hint


def record(model: Path) -> None:
    """A finished training with its model, and one that failed."""
    params = load_params(ROOT / "params.yaml")
    with training_run(params, "one") as recorder:
        recorder.model(model, "a digest", params.generate)
    with suppress(OSError), training_run(params, "two") as recorder:
        recorder.model(model, "a digest", params.generate)
        raise OSError("disk full")


def test_captions_and_where_the_model_looked(tmp_path: Path) -> None:
    best, markup = answer(save(tmp_path / "model", "attention", 17), PHOTO, "photo.png", SEARCH)
    assert 1 < markup.count(" <small>log p ") <= BEST
    assert f'alt="{best}"' in markup
    assert re.findall('<span dir="auto">(.*?)<', markup).count(best) == 1
    assert re.findall(r"<figcaption[^>]*>(.*?)<", markup) == best.split()


def test_a_model_that_does_not_look_says_so(tmp_path: Path) -> None:
    _, markup = answer(save(tmp_path / "model", "lstm"), PHOTO, "photo.png", SEARCH)
    assert "nothing to show here: this model was trained with <code>decoder.name: lstm</code>" in markup
    assert "<figure" not in markup


def test_what_to_type_is_marked_and_the_rest_is_no_markup() -> None:
    assert coded("`make <b>` did `dvc`, <b>") == (
        "<code>make &lt;b&gt;</code> did <code>dvc</code>, &lt;b&gt;"
    )


def test_a_model_that_was_trained_again_is_read_again(tmp_path: Path) -> None:
    told = [answer(save(tmp_path / "model", "lstm", seed), PHOTO, "photo.png", SEARCH) for seed in (0, 1)]
    assert told[0] != told[1]


def test_bad_pictures_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(CapflowError, match=r"^words\.txt: cannot be read as a picture \("):
        answer(save(tmp_path / "model", "lstm"), b"no picture", "words.txt", SEARCH)


def test_what_keeps_the_page_from_being_served_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*arguments: str) -> str:
        result = CliRunner().invoke(app, ["demo", *arguments])
        assert isinstance(result.exception, CapflowError)
        return str(result.exception)

    with monkeypatch.context() as without:
        without.setattr(importlib.util, "find_spec", {}.get)
        assert refused() == "the page is made with NiceGUI, which is not installed; `make demo` does that."
    monkeypatch.setattr(importlib.util, "find_spec", str)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert (
            refused("--port", port)
            == f"port {port} is taken by another program; choose one with `capflow demo --port`."
        )
