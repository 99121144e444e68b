"""`capflow caption`: one model or several, the best captions, captions drawn at random."""

import io
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from capflow.cli import main
from capflow.models.captioner import save_captioner
from capflow.text.vocabulary import SPECIALS, Vocabulary
from tests.checkout import ROOT
from tests.tiny import VOCABULARY, captioner, pixels

WORDS = (*SPECIALS, *reversed(VOCABULARY.words[len(SPECIALS) :]))
OTHER = Vocabulary(WORDS, punctuation=False)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: two photographs and three models, one of other words."""
    monkeypatch.chdir(tmp_path)
    for number, picture in enumerate(pixels(2)):
        Image.fromarray(picture).save(f"{number}.png")
    for name, seed, vocabulary in (("a", 3, VOCABULARY), ("b", 4, VOCABULARY), ("c", 5, OTHER)):
        model = captioner(seed, sharpness=4, decoder={"batch_norm": True}, encoder={"features": "grid"})
        save_captioner(tmp_path / name, model, vocabulary)
    return tmp_path


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int | str | None:
    """The exit code, or the sentence of an error."""
    monkeypatch.setattr("sys.argv", ["capflow", "caption", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    return caught.value.code


@pytest.fixture
def said(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """What the command prints as JSON."""

    def call(*arguments: str) -> list[dict[str, Any]]:
        assert run(monkeypatch, "--json", *arguments) == 0
        records: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
        return records

    return call


def test_several_models_speak_together(said: Any) -> None:
    photos = ("0.png", "1.png")
    alone = said("--model", "a", *photos)
    assert [row["image"] for row in alone] == ["0.png", "1.png"]
    twice, both = said("--model", "a", "--model", "a", *photos), said("--model", "a", "--model", "b", *photos)
    assert [row["caption"] for row in twice] == [row["caption"] for row in alone]
    assert both != alone


def test_models_of_different_words_are_one_sentence(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = run(monkeypatch, "--model", "a", "--model", "c", "0.png")
    assert str(code).startswith("error: c: vocab.json differs from that of a, so they cannot speak together")


def test_a_folder_is_the_pictures_in_it(
    said: Any, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("holiday/b.PNG", "holiday/a.png", "one/\u00fc.png"):
        Path(name).parent.mkdir(exist_ok=True)
        shutil.copy("1.png" if "b" in name else "0.png", name)
    Path("holiday/notes.txt").write_text("of a day at the sea")
    os.mkfifo("holiday/pipe.jpg")
    listed = said("--model", "a", "holiday", "0.png")
    assert [row["image"] for row in listed] == ["holiday/a.png", "holiday/b.PNG", "0.png"]
    assert listed == [
        row | {"image": name}
        for row, name in zip(
            said("--model", "a", "0.png", "1.png", "0.png"), [row["image"] for row in listed], strict=True
        )
    ]
    assert run(monkeypatch, "--model", "a", "one") == 0
    assert capsys.readouterr().out.startswith("one/\u00fc.png\t")


def test_names_that_are_not_utf_8_come_out_as_they_are(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    shutil.copy("0.png", b"\xff.png".decode(errors="surrogateescape"))
    name = os.fsdecode(b"\xff.png")
    strict = io.TextIOWrapper(open(1, "wb", closefd=False), "utf-8", "strict")  # noqa: SIM115
    monkeypatch.setattr("sys.stdout", strict)
    assert run(monkeypatch, "--model", "a", name, "1.png") == 0
    assert run(monkeypatch, "--model", "a", "--json", name) == 0
    strict.flush()
    out = capfdbinary.readouterr().out
    assert out.startswith(b"\xff.png\t")
    assert b'"image": "\\udcff.png"' in out


@pytest.mark.parametrize(
    "address", ["runs:/abc", "models:/capflow@", "models:capflow@champion", "models:/capflow"]
)
def test_a_slip_in_an_address_is_told(address: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = str(run(monkeypatch, "--model", address, "0.png"))
    assert code.startswith(f"error: {address}: no address of a model; write runs:/<id>/model or models:/")


def test_outside_of_a_checkout_a_model_is_wanted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = str(run(monkeypatch, "0.png"))
    assert code.endswith("run this inside a Capflow checkout, or name a model with --model.")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--model", "a", "empty"), "empty: no picture lies in this folder (a file that ends with .jpg, "),
        (("--model", "empty", "0.png"), "empty: holds no model, as no config.json is there; `dvc repro`"),
        (("--model", "0.png", "0.png"), "0.png: holds no model, as no config.json is there; `dvc repro`"),
    ],
)
def test_folders_that_hold_nothing_of_use_are_one_sentence(
    arguments: tuple[str, ...], told: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("empty").mkdir()
    code = str(run(monkeypatch, *arguments))
    assert code.startswith(f"error: {told}")
    assert "\n" not in code


def test_the_best_captions_come_first(said: Any) -> None:
    rows = said("--model", "a", "--best", "5", "0.png", "1.png")
    assert [row["image"] for row in rows] == ["0.png"] * 5 + ["1.png"] * 5
    assert len({(row["image"], row["caption"]) for row in rows}) == 10
    assert rows[0] == said("--model", "a", "--beam", "5", "0.png")[0]


def test_captions_are_lines(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "--model", "a", "--best", "3", "0.png") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(set(lines)) == 3
    assert run(monkeypatch, "--model", "a", "--best", "3", "0.png", "1.png") == 0
    assert capsys.readouterr().out.splitlines()[:3] == [f"0.png\t{line}" for line in lines]


def test_nobody_has_to_listen(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell's `>&-` closes stdout."""
    monkeypatch.setattr("sys.stdout", None)
    assert run(monkeypatch, "--model", "a", "0.png") == 0


def test_a_seed_draws_captions(said: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = {str(said("--model", "a", "--seed", str(seed), "0.png", "1.png")) for seed in (1, 2, 3, 1)}
    assert len(drawn) == 3
    whole = said("--model", "a", "--seed", "1", "0.png", "1.png")
    monkeypatch.setattr("capflow.cli.captioning._AT_A_TIME", 1)
    assert [row["caption"] for row in said("--model", "a", "--seed", "1", "0.png", "1.png")] == [
        row["caption"] for row in whole
    ]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--seed", "3", "--beam", "5"), "--seed draws captions at random, and --beam searches"),
        (
            ("--seed", "0", "--beam", "1", "--best", "2"),
            "--seed draws captions at random, and --beam searches",
        ),
        (("--beam", "3", "--best", "4"), "--beam 3 finds 3 captions at most, and --best 4 asks for more"),
    ],
)
def test_options_of_which_one_would_be_ignored_are_one_sentence(
    options: tuple[str, ...],
    told: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(monkeypatch, "--model", "a", *options, "0.png") == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"error: {told}")
    assert captured.err.count("\n") == 1


def test_the_best_of_captions_that_are_drawn(said: Any) -> None:
    rows = said("--model", "a", "--seed", "3", "--best", "3", "0.png")
    assert len({row["caption"] for row in rows}) == 3


def test_in_a_checkout_captions_are_searched_for_as_params_yaml_says(
    folder: Path, said: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = said("--model", "a", "0.png")
    (folder / "dvc.yaml").touch()
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    # Hints are those of training captions, and are left out.
    content["generate"] |= {"min_length": 7, "groups": 3, "beam": 6, "hints": 4.0}
    (folder / "params.yaml").write_text(yaml.safe_dump(content))
    shutil.copytree("a", "data/model")
    caption = said("0.png")[0]["caption"]
    assert len(caption.split()) >= 7
    assert caption != usual[0]["caption"]
    code = run(monkeypatch, "--beam", "4", "0.png")
    assert "generate.beam (4) is no multiple of generate.groups (3)" in str(code)
