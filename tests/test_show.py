"""``capflow show --attention``: a picture once more for each word of its caption."""

import io
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from capflow.cli import app, main
from capflow.errors import CapflowError
from capflow.models.captioner import save_captioner
from tests.photographs import gradient, saved
from tests.tiny import VOCABULARY, captioner


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, outside of a checkout: a photograph and two models."""
    monkeypatch.chdir(tmp_path)
    Path("photo.jpg").write_bytes(saved(gradient(90, 60), "JPEG"))
    for name in ("attention", "lstm"):
        model = captioner(9, sharpness=4, decoder={"name": name}, encoder={"features": "grid"})
        save_captioner(tmp_path / name, model, VOCABULARY)
    return tmp_path


def show(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["show", *arguments])


@pytest.mark.usefixtures("folder")
def test_a_photograph_is_drawn_for_each_word() -> None:
    drawn = []
    for _ in range(2):
        result = show("--attention", "photo.jpg", "--model", "attention", "-o", "words.png")
        assert (result.exit_code, result.stdout) == (0, "words.png\n"), result
        drawn.append(Path("words.png").read_bytes())
    assert drawn[0] == drawn[1]
    assert Image.open(io.BytesIO(drawn[0])).width == 28 + 3 * 348  # the photo and two words


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--attention", "photo.jpg", "--model", "lstm"), "`decoder.name: lstm`"),
        (("--attention", "words.txt", "--model", "attention"), r"words\.txt: cannot be read as a picture"),
        (("--attention", "photo.jpg", "--model", "nothing"), "nothing: there is no such folder; correct"),
        (("--attention", "photo.jpg", "--model", "runs:/1/model"), "no dvc.yaml here or above"),
        (("--model", "attention"), "only --attention asks a model"),
        (("--attention", "photo.jpg", "--count", "9"), "and --count would choose pictures of a split"),
        (("test", "--attention", "photo.jpg"), "and split would choose"),
        (
            ("--attention", "photo.jpg", "--predictions", "--seed", "0", "val", "--count", "3"),
            "and split and --count and --seed and --predictions would choose",
        ),
    ],
)
def test_what_cannot_be_drawn_is_one_sentence_and_nothing_is_lost(
    folder: Path, arguments: tuple[str, ...], message: str
) -> None:
    Path("words.txt").write_text("a red ball")
    Path("show.png").write_bytes(b"before")
    result = show(*arguments)
    assert isinstance(result.exception, CapflowError)
    with pytest.raises(CapflowError, match=message):
        raise result.exception
    assert "\n" not in str(result.exception)
    assert Path("show.png").read_bytes() == b"before"


@pytest.mark.usefixtures("folder")
def test_options_that_do_not_go_together_end_with_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["capflow", "show", "--attention", "photo.jpg", "--seed", "1"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith("error: --attention shows one photograph, and --seed would")
