"""The report: one page without a network, with the scores, the curves and pictures beside their captions.

The same report gives the same bytes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from capflow.evaluation.gallery import Choice, Example
from capflow.evaluation.page.browser import Browser, shows_browser
from capflow.evaluation.page.charts import Series, line_chart, points
from capflow.evaluation.page.markup import card, cards, picture, plain
from capflow.evaluation.page.naming import explanation, label, ordered
from capflow.evaluation.page.sayings import Gazed, Sayings, says, shows_gaze
from capflow.evaluation.page.shell import build_page
from capflow.evaluation.runs import flat

Rows = Sequence[Mapping[str, float]]

_CHOICES: dict[Choice, tuple[str, str]] = {
    "best": ("Best", "The highest scores of all pictures."),
    "worst": ("Worst", "The lowest scores of all pictures."),
    "random": ("Random", "Drawn from all pictures: what to expect of the next one."),
    "unscored": ("Pictures without references", "Nobody has captioned these, so they have no scores."),
}
_READING = "In bold the generated caption; below it, where there are any, what people wrote."


@dataclass(frozen=True)
class Report:
    """All that the page shows.

    Attributes:
        data_set: the name of the data set.
        split: the split that is scored.
        pictures: how many pictures are scored.
        notes: sentences that a reader of the scores must know, such as what is missing.
        scores: fractions by pycocoevalcap's names, and ``truth`` and ``truth_unseen`` for scenes.
        absent: why a score is not there, by its name.
        parameters: the content of params.yaml.
        steps: rows of ``train_steps.csv``: step, train_loss, lr; what a row does not have is NaN.
        epochs: rows of ``train_epochs.csv``: epoch, step, train_loss, val_loss, val_CIDEr.
        gallery: the pictures to show, by what they were chosen for.
        sayings: what the captions are like.
        gazes: some pictures with the places that the model looked at.
        browser: the pictures that can be searched and sorted.
    """

    data_set: str
    split: str
    pictures: int
    notes: Sequence[str]
    scores: Mapping[str, float]
    absent: Mapping[str, str]
    parameters: Mapping[str, Any]
    steps: Rows
    epochs: Rows
    gallery: Mapping[Choice, Sequence[Example]]
    sayings: Sayings
    gazes: Sequence[Gazed] = ()
    browser: Browser = field(default_factory=Browser)


def build_report(report: Report) -> str:
    """Build the page: HTML that needs no other file and no network.

    Returns:
        The page as text that is valid UTF-8, whatever the captions hold.
    """
    sections = {
        "Scores": _scores(report.scores, report.absent),
        "Training": _curves(report.steps, report.epochs),
        "What the model says": says(report.sayings),
        "Where the model looks": shows_gaze(report.gazes),
        "Pictures": _gallery(report.gallery),
        "All pictures": shows_browser(report.browser),
        "Parameters": _parameters(report.parameters),
    }
    summary = f"{report.pictures:,} scored pictures of the {report.split} split"
    return build_page(f"{report.data_set}, {report.split}", summary, report.notes, sections, report.browser)


def _scores(scores: Mapping[str, float], absent: Mapping[str, str]) -> str:
    shown = (
        card(label(name), f"{scores[name]:.3f}", explanation(name))
        if name in scores
        else card(label(name), "&mdash;", absent[name])
        for name in ordered(scores.keys() | absent.keys())
    )
    return cards("".join(shown))


def _curves(steps: Rows, epochs: Rows) -> str:
    # A short training has fewer steps than are logged, but the mean of each epoch.
    train = points(steps, "step", "train_loss") or points(epochs, "step", "train_loss")
    val = points(epochs, "step", "val_loss")
    cider, rate = points(epochs, "epoch", "val_CIDEr"), points(steps, "step", "lr")
    reward, bad = points(steps, "step", "reward"), points(epochs, "epoch", "val_bad_endings")
    charts = (
        line_chart("Loss", "step", [Series("train", train), Series("val", val)]),
        line_chart("Reward of captions drawn", "step", [Series("reward", reward)]) if reward else "",
        line_chart("CIDEr of val", "epoch", [Series("CIDEr", cider)]),
        line_chart("Captions of val that break off", "epoch", [Series("share", bad)])
        if any(y for _, y in bad)
        else "",
        line_chart("Learning rate", "step", [Series("rate", rate)]),
    )
    return f'<div class="charts">\n{"".join(charts)}</div>\n' if any(charts) else ""


def _gallery(gallery: Mapping[Choice, Sequence[Example]]) -> str:
    parts = "".join(
        f"<h3>{heading}</h3>\n<p>{explanation}</p>\n"
        f'<div class="gallery">\n{"".join(map(_example, gallery[choice]))}</div>\n'
        for choice, (heading, explanation) in _CHOICES.items()
        if gallery.get(choice)
    )
    return f"<p>{_READING}</p>\n{parts}" if parts else ""


def _example(example: Example) -> str:
    caption = plain(example.caption.strip() or "(no words)")
    references = "".join(f'<li dir="auto">{plain(reference)}</li>' for reference in example.references)
    people = f'<ul aria-label="Human captions">{references}</ul>' if references else ""
    return (
        f"<figure>{picture(example.thumbnail, caption)}<figcaption>"
        f'<p class="caption" dir="auto">{caption}</p>{_badges(example)}{people}'
        f'<p class="file" title="image id {example.image_id}">{plain(example.file_name)}</p>'
        "</figcaption></figure>\n"
    )


def _badges(example: Example) -> str:
    badges = [f"<li>{plain(label(name))} {value:.2f}</li>" for name, value in example.scores.items()]
    if example.true is not None:
        kind, verdict = ("true", "✓ true") if example.true else ("false", "✗ not true")
        badges.insert(0, f'<li class="{kind}">{verdict}</li>')
    return f'<ul class="badges" aria-label="Scores">{"".join(badges)}</ul>' if badges else ""


def _parameters(parameters: Mapping[str, Any]) -> str:
    single = {key: value for key, value in parameters.items() if not isinstance(value, Mapping)}
    nested = {key: value for key, value in parameters.items() if isinstance(value, Mapping)}
    groups = {"general": single, **nested} if single else nested
    tables = "".join(
        f"<div><table><caption>{plain(name)}</caption><tbody>{_rows(values)}</tbody></table></div>\n"
        for name, values in groups.items()
    )
    return f'<div class="parameters">\n{tables}</div>\n' if tables else ""


def _rows(values: Mapping[str, Any]) -> str:
    return "".join(
        f'<tr><th scope="row">{plain(key)}</th><td>{plain(value)}</td></tr>'
        for key, value in flat(values).items()
    )
