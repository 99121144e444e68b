"""The stage that numbers the words, on three small splits."""

import json
from pathlib import Path

import pytest

from capflow.data import annotations
from capflow.data.annotations import Annotations
from capflow.data.captions import EncodedCaptions
from capflow.errors import CapflowError
from capflow.files import folder_digest, write_json
from capflow.text.vocabulary import SPECIALS, Vocabulary
from stages import build_vocab
from tests.checkout import ROOT

PARAMS = ROOT / "params.yaml"


def split(first_id: int, *captions: str) -> Annotations:
    return Annotations(
        [{"id": first_id + i, "file_name": f"{first_id + i}.jpg"} for i in range(len(captions))],
        [{"id": i, "image_id": first_id + i, "caption": text} for i, text in enumerate(captions)],
    )


def write(name: str, records: Annotations, *absent: int) -> None:
    """Write a split, all of whose pictures are there but some."""
    annotations.write(Path(f"data/annotations/{name}.json"), records)
    ids = [image["id"] for image in records.images if image["id"] not in absent]
    write_json(Path(f"data/tensors/{name}.json"), {"ids": ids})


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_bytes(PARAMS.read_bytes())
    train = split(1, *["A dog runs."] * 4, "A dog sits.", "!!!", "A cat.")
    for name, records in (("train", train), ("val", split(20, "A dog purrs")), ("test", split(30))):
        write(name, records)
    return tmp_path


def test_artifacts(workspace: Path, caplog: pytest.LogCaptureFixture) -> None:
    build_vocab.main()
    assert "35 % of the words in the captions of train stand there fewer than 5 times" in caplog.text
    words = Vocabulary.read(workspace / "data/vocab/vocab.json")
    assert words.words == (*SPECIALS, "a", "dog")
    train, val, test = (
        EncodedCaptions.load(workspace / "data/vocab" / name) for name in ("train", "val", "test")
    )
    assert train.images.tolist() == [1, 2, 3, 4, 5, 7]
    assert val.tokens.tolist() == [1, 4, 5, 3, 2]
    assert len(test) == 0
    assert json.loads((workspace / "metrics/vocab.json").read_text()) == {
        "size": 6,
        "unknown": {"train": round(6 / 17, 6), "val": round(1 / 3, 6)},
        "captions_by_length": [0, 0, 1, 5],
    }


def test_the_same_input_gives_the_same_bytes(workspace: Path) -> None:
    build_vocab.main()
    first = folder_digest(workspace / "data/vocab")
    build_vocab.main()
    assert folder_digest(workspace / "data/vocab") == first


def test_captions_of_pictures_that_are_not_there_do_not_count(workspace: Path) -> None:
    write("train", split(1, *["A dog runs."] * 6, *["A zebra."] * 6), 1, *range(7, 13))
    write("val", split(20, "A dog", "A zebra"), 21)
    build_vocab.main()
    assert Vocabulary.read(workspace / "data/vocab/vocab.json").words == (
        *SPECIALS,
        "a",
        "dog",
        "runs",
    )
    counted = json.loads((workspace / "metrics/vocab.json").read_text())
    assert counted["captions_by_length"] == [0, 0, 0, 5]
    assert EncodedCaptions.load(workspace / "data/vocab/val").images.tolist() == [20]


@pytest.mark.parametrize("name", ["train", "val"])
@pytest.mark.parametrize("lost", [True, False])
@pytest.mark.usefixtures("workspace")
def test_a_split_that_comes_out_empty_is_named(name: str, *, lost: bool) -> None:
    write(name, split(1, "A dog."), 1) if lost else write(name, split(1))
    with pytest.raises(
        CapflowError, match=rf"{name}\.json: no picture .*missing\.csv and metrics/damaged\.csv"
    ):
        build_vocab.main()


def test_a_test_split_may_be_empty(workspace: Path) -> None:
    write("test", split(30, "A dog"), 30)
    build_vocab.main()
    assert len(EncodedCaptions.load(workspace / "data/vocab/test")) == 0
