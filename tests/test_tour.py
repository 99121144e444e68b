"""notebooks/tour.ipynb runs, wherever it is opened; test_pipeline.py runs it after `dvc repro`, too."""

import importlib.util
import shutil
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL.Image import Image

from capflow import project
from capflow.models.captioner import save_captioner
from capflow.params import load_params
from capflow.record.recorder import Scored, record_scores, training_run
from capflow.record.scoring import MODEL_TAG
from tests.checkout import SMALL, make_checkout, run
from tests.evaluation.scored import fill
from tests.notebook import TOUR, code_of, executed, table_in
from tests.tiny import VOCABULARY, captioner


def test_no_outputs_are_committed() -> None:
    left = [cell for cell in code_of(TOUR) if cell["outputs"] or cell["execution_count"] or cell["metadata"]]
    assert not left, "strip them: .venv/bin/jupyter nbconvert --clear-output --inplace notebooks/tour.ipynb"


def test_runs_of_another_store_and_a_model_that_looks(
    tmp_path: Path, record: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    fill(tmp_path)
    for folder, decoder in ((project.MODEL, "lstm"), (project.ENSEMBLE / "second", "attention")):
        model = captioner(9, sharpness=4, decoder={"name": decoder}, encoder={"features": "grid"})
        save_captioner(folder, model, VOCABULARY)
    shutil.copy(record, "runs.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///runs.db")
    for number, rate in enumerate((0.003, 0.01), 1):
        learn(f"model-{number}", rate, cider=number)
    shown = executed(TOUR, monkeypatch)
    assert shown[1]["caption"] == "A dog in room 1."
    table = table_in(shown)
    assert table[["learning rate", "CIDEr"]].to_numpy().tolist() == [["0.01", 2.0], ["0.003", 1.0]]
    lengths, curves = [one for one in shown if isinstance(one, Figure)]
    assert [bar.get_height() for bar in lengths.axes[0].patches] == [*[0] * 5, 5]  # type: ignore[attr-defined]
    assert [axis.get_title() for axis in curves.axes] == ["train_loss", "val_loss", "val_CIDEr"]
    ended = [np.asarray(line.get_ydata()).tolist() for line in curves.axes[2].lines]
    assert ended == [[1.0, 2.0], [0.5, 1.0]]
    assert capsys.readouterr().out.splitlines()[-1] == "data/ensemble/second: attention"
    drawn = [one for one in shown if isinstance(one, Image)]
    assert len(drawn) == 4
    assert drawn[-1].width == 28 + 3 * 348  # the photo and two words


def learn(model: str, rate: float, cider: float) -> None:
    """A finished training and its scores, on record."""
    params = load_params()
    params = params.model_copy(update={"train": params.train.model_copy(update={"lr": rate})})
    with training_run(params, model) as recorder:
        for step in (1, 2):
            recorder.log({"train_loss": 1 / step, "val_loss": 1 / step, "val_CIDEr": cider * step / 2}, step)
        recorder.tag(MODEL_TAG, model)
    record_scores(model, params, {"CIDEr": cider}, Scored("test", "0123"), {})


@pytest.mark.slow
@pytest.mark.skipif(not importlib.util.find_spec("nbclient"), reason="nbclient is missing: make notebook")
def test_a_kernel_runs_it_after_the_pipeline(tmp_path: Path) -> None:
    small = SMALL["params.yaml"]
    looking = {"decoder": {**small["decoder"], "name": "attention"}, "generate": {"max_length": 10}}
    make_checkout(tmp_path, {**SMALL, "params.yaml": {**small, **looking}})
    run(tmp_path / "notebooks", "jupyter", "execute", "--output=executed.ipynb", "tour.ipynb")
    cells = code_of(tmp_path / "notebooks/executed.ipynb")
    shown = [set().union(*(output.get("data", ()) for output in cell["outputs"])) for cell in cells]
    assert [bool(kinds & {"image/png", "text/html"}) for kinds in shown] == [False, False, *[True] * 7]
