"""The stage that scores: what is not there counts for nothing, and the page says how much that is."""

from pathlib import Path

import pytest

from capflow import project
from capflow.data import annotations, archives
from capflow.data.annotations import Annotations
from capflow.data.captions import EncodedCaptions, tokenise_all
from capflow.errors import CapflowError
from capflow.files import read_json, write_json, write_text
from capflow.params import SPLITS, Split, load_params
from capflow.text.vocabulary import Vocabulary
from stages import evaluate
from tests.checkout import ROOT
from tests.photographs import jpeg

VOCABULARY = Vocabulary.from_counts(
    dict.fromkeys(["a", "dog", "in", "room", *"12345"], 1), threshold=1, punctuation=False
)


def put(split: Split, *there: int) -> None:
    """Write a split of five captioned pictures, some of which have a row, and their predictions."""
    numbers = range(1, 6)
    records = Annotations(
        [{"id": number, "file_name": f"{number}.jpg"} for number in numbers],
        [{"id": number, "image_id": number, "caption": f"A dog in room {number}."} for number in numbers],
    )
    annotations.write(project.ANNOTATIONS / f"{split}.json", records)
    words = tokenise_all(records.only(set(there)), punctuation=False)
    EncodedCaptions.encode(words, VOCABULARY).save(project.VOCAB / split)
    assert (
        archives.pack(project.IMAGES / f"{split}.zip", [f"{n}.jpg" for n in there], lambda _: jpeg(1)) == []
    )
    write_json(project.TENSORS / f"{split}.json", {"ids": there})
    captions = [{"image_id": number, "caption": f"a dog in room {number}"} for number in there]
    write_json(project.PREDICTIONS / f"{split}.json", captions)


def count(**left_out: tuple[int, int]) -> None:
    """Write how many of five pictures of each split are missing, and how many damaged."""
    splits: dict[str, tuple[int, int]] = {"train": (0, 0), "val": (0, 0), "test": (0, 0)} | left_out
    packed = {s: {"wanted": 5, "packed": 5 - gone, "missing": gone} for s, (gone, _) in splits.items()}
    write_json(project.METRICS / "pictures.json", packed)
    write_json(project.METRICS / "tensors.json", {"damaged": {s: bad for s, (_, bad) in splits.items()}})


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout whose model has captioned five pictures of val and of test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(evaluate, "record", lambda *_: None)
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    write_text(project.VOCAB / "vocab.json", VOCABULARY.to_json())
    for split in SPLITS:
        put(split, 1, 2, 3, 4, 5)
    for name in ("train_steps", "train_epochs"):
        write_text(project.METRICS / f"{name}.csv", "")
    count()
    return tmp_path


def page() -> str:
    return (project.METRICS / "report" / "index.html").read_text(encoding="utf-8")


@pytest.mark.usefixtures("workspace")
def test_what_is_not_there_is_not_scored_and_the_page_says_so() -> None:
    put("test", 1, 2, 4)
    count(train=(1, 1), test=(1, 1))
    evaluate.main()
    rows = (project.METRICS / "per_image.csv").read_text(encoding="utf-8").splitlines()[1:]
    assert [row.split(",")[1] for row in rows] == ["1.jpg", "2.jpg", "4.jpg"]
    assert read_json(project.METRICS / "scores.json")["Bleu_1"] == pytest.approx(1)
    assert "3 scored pictures of the test split" in page()
    assert "Where the model looks" not in page()
    figures = read_json(project.METRICS / "captions.json")
    assert (figures["captions"], figures["distinct"], figures["novel"]) == (3, 3, 0)
    assert figures["references_by_length"] == [0, 0, 0, 0, 0, 3]
    assert (
        "<li>Pictures that were missing or damaged, and count for nothing: 2 of 5 (train), 2 of 5 (test). "
        "metrics/missing.csv and metrics/damaged.csv name them.</li>"
    ) in page()


@pytest.mark.usefixtures("workspace")
def test_val_stands_in_where_no_picture_of_test_is_there() -> None:
    assert evaluate.scored_split(load_params())[0] == "test"
    put("test")
    assert evaluate.scored_split(load_params())[0] == "val"


@pytest.mark.usefixtures("workspace")
def test_a_picture_that_is_there_has_to_be_captioned() -> None:
    write_json(project.PREDICTIONS / "test.json", [{"image_id": 1, "caption": "a dog"}])
    with pytest.raises(CapflowError, match=r"no caption for image 2 \(and 3 others\)"):
        evaluate.main()


@pytest.mark.usefixtures("workspace")
def test_the_page_doubts_the_same_caption_of_all_and_shows_where_the_model_looked(
    caplog: pytest.LogCaptureFixture,
) -> None:
    captions = [{"image_id": number, "caption": "a dog"} for number in range(1, 6)]
    write_json(project.PREDICTIONS / "test.json", captions)
    maps = [[[1.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 1.0]]]
    seen = {"image_id": 2, "words": ["a", "dog"], "maps": maps}
    told = {"view": {"fit": "crop", "share": 0.5}, "pictures": [seen]}
    write_json(project.PREDICTIONS / "test.gaze.json", told)
    evaluate.main()
    assert "<li>All 5 captions are the same: the model has learned" in page()
    assert "All 5 captions are the same" in caplog.text
    assert '<td dir="auto">a dog</td><td>5</td>' in page()
    assert read_json(project.METRICS / "captions.json")["novel"] == 5
    section = page().split('<section id="where-the-model-looks">')[1].split("</section>")[0]
    assert section.count("data:image/jpeg;base64,") == 3
    assert '<figcaption dir="auto">dog</figcaption>' in section
