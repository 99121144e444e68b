"""The stage that scores: what is not there counts for nothing, and the page says how much that is."""

import pytest

from capflow import project
from capflow.errors import CapflowError
from capflow.files import read_json, write_json
from capflow.params import load_params
from stages import evaluate
from tests.evaluation.scored import count, put
from tests.evaluation.test_report import data


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
    told, thumbnails = data(page())
    assert [picture["file"] for picture in told["pictures"]] == ["1.jpg", "2.jpg", "4.jpg"]
    assert [picture["shared"] for picture in told["pictures"]] == [100] * 3
    assert all(thumbnails)
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
