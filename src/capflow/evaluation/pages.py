"""What ``evaluate`` writes for people: a table by picture, and the report page."""

import io
from collections import Counter
from collections.abc import Iterable, Mapping
from operator import itemgetter
from pathlib import Path

import pandas as pd

from capflow import project
from capflow.data import tensors
from capflow.data.annotations import Annotations
from capflow.data.archives import pictures_in
from capflow.data.pictures import decode
from capflow.evaluation.examples import Album, opened, verdict
from capflow.evaluation.gallery import Choice, Example, choose_examples, sample
from capflow.evaluation.overlays import View, gazed
from capflow.evaluation.page.browser import Browser
from capflow.evaluation.page.report import Report, build_report
from capflow.evaluation.page.sayings import Gazed, Sayings
from capflow.evaluation.results import read_results
from capflow.evaluation.runs import numbers
from capflow.evaluation.scores import Scores
from capflow.evaluation.variety import Variety, doubt
from capflow.files import read_json, write_text
from capflow.params import Params, Split

EACH = 8


def per_image_table(scores: Scores, scored: Annotations, captions: Mapping[int, str]) -> str:
    """A CSV with a row for each picture: id, file name, generated caption, its scores, its truth."""
    records = {image["id"]: image for image in scored.images}
    table = pd.DataFrame(
        {
            "image_id": scores.images,
            "file_name": [records[image]["file_name"] for image in scores.images],
            "caption": [captions[image] for image in scores.images],
            **scores.per_image,
        }
    )
    if any("scene" in image for image in scored.images):
        table["truth"] = [int(bool(verdict(records[image], captions[image]))) for image in scores.images]
    text = io.StringIO()
    table.to_csv(text, index=False, lineterminator="\n")
    return text.getvalue()


def write_report(
    params: Params,
    split: Split,
    scored: Annotations,
    captions: Mapping[int, str],
    scores: Scores,
    totals: Mapping[str, float],
    counted: Variety,
) -> None:
    """Write metrics/report/index.html from the scores and from what the stages before left."""
    by_image = _by_image(scores)
    with opened(project.IMAGES / f"{split}.zip", scored, captions, by_image) as album:
        gallery = _scored_gallery(album, params.seed)
        browser = Browser(album.tiles(scores.images, params.seed), len(scores.images))
    report = Report(
        data_set=params.data.name,
        split=split,
        pictures=len(scores.images),
        notes=_notes(split, params, counted),
        scores=totals,
        absent=scores.absent,
        parameters=params.model_dump(mode="json"),
        steps=_rows(project.METRICS / "train_steps.csv"),
        epochs=_rows(project.METRICS / "train_epochs.csv"),
        gallery=gallery | _unscored_gallery(split, params),
        sayings=Sayings(counted, _frequent(captions.values())),
        gazes=_gazes(split, scored),
        browser=browser,
    )
    write_text(project.METRICS / "report" / "index.html", build_report(report))


def _by_image(scores: Scores) -> dict[int, dict[str, float]]:
    return {
        image: {name: values[place] for name, values in scores.per_image.items()}
        for place, image in enumerate(scores.images)
    }


def _rows(path: Path) -> list[dict[str, float]]:
    """A table of numbers; one without rows is a training of fewer steps than are logged."""
    return numbers(path.read_text(encoding="utf-8"))


def _notes(split: Split, params: Params, counted: Variety) -> list[str]:
    notes = [*filter(None, [doubt(counted, params)])]
    if split == "val" and "test" in params.generate.splits:
        notes.append(
            "This data set has no test captions: the scores are those of val, which chose the epoch."
        )
    return notes + _left_out()


def _left_out() -> list[str]:
    """One sentence on the pictures that are missing or damaged, where there are any."""
    packed = read_json(project.METRICS / "pictures.json")
    damaged = read_json(project.METRICS / "tensors.json")["damaged"]
    absent = {split: count["missing"] + damaged[split] for split, count in packed.items()}
    counts = [
        f"{absent[split]:,} of {packed[split]['wanted']:,} ({split})" for split in packed if absent[split]
    ]
    if not counts:
        return []
    return [
        f"Pictures that were missing or damaged, and count for nothing: {', '.join(counts)}. "
        f"{project.MISSING} and {project.DAMAGED} name them."
    ]


def _scored_gallery(album: Album, seed: int) -> dict[Choice, list[Example]]:
    chosen = choose_examples({image: row["CIDEr"] for image, row in album.scores.items()}, EACH, seed)
    return {choice: list(map(album.example, images)) for choice, images in chosen.items()}


def _unscored_gallery(scored: Split, params: Params) -> dict[Choice, list[Example]]:
    """Some pictures of a test split without captions, with what the model says of them."""
    if scored == "test" or "test" not in params.generate.splits:
        return {}
    captions = read_results(project.PREDICTIONS / "test.json")
    if not captions:
        return {}
    part = tensors.described("test")
    with opened(project.IMAGES / "test.zip", part, captions, {}) as album:
        return {"unscored": list(map(album.example, sample(captions.keys(), EACH, params.seed)))}


def _frequent(captions: Iterable[str]) -> dict[str, int]:
    """The captions that are said more than once, those that are most often."""
    return {caption: count for caption, count in Counter(captions).most_common(EACH) if count > 1}


def _gazes(split: Split, scored: Annotations) -> list[Gazed]:
    """Where the model looked at some pictures, if ``generate_captions`` could tell."""
    path = project.PREDICTIONS / f"{split}.gaze.json"
    if not path.exists():
        return []
    told = read_json(path)
    names = {image["id"]: image["file_name"] for image in scored.images}
    with pictures_in(project.IMAGES / f"{split}.zip") as pictures:
        return [
            gazed(decode(pictures[names[image]](), names[image]), View(**told["view"]), words, maps)
            for image, words, maps in map(itemgetter("image_id", "words", "maps"), told["pictures"])
        ]
