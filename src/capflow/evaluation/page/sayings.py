"""Two sections of the report page: what the model says, and where it looks as it says it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from capflow.evaluation.page.charts import Point, Series, bar_chart
from capflow.evaluation.page.markup import card, cards, picture, plain
from capflow.evaluation.variety import Variety, mean_length

_LOOKING = (
    "Each picture once more for each word, clear where the model looked as it said it, in fog elsewhere. "
    "Where all is clear, it looked at all places alike."
)


@dataclass(frozen=True)
class Sayings:
    """What captions are like.

    Attributes:
        counted: what can be counted in them; None where there are none.
        frequent: the most frequent of those said more than once, and how often each is.
    """

    counted: Variety | None = None
    frequent: Mapping[str, int] = field(default_factory=dict)


class Gazed(NamedTuple):
    """One picture and where the model looked: JPEGs of it, one as it is and one for each word."""

    caption: str
    thumbnail: bytes
    words: Sequence[tuple[str, bytes]]


def says(sayings: Sayings) -> str:
    """The section on what captions are like."""
    if sayings.counted is None:
        return ""
    beside = _lengths(sayings.counted) + _frequent(sayings.frequent)
    return f'{_figures(sayings.counted)}<div class="charts">\n{beside}</div>\n'


def _figures(counted: Variety) -> str:
    total = counted.captions
    mean, people = map(mean_length, (counted.captions_by_length, counted.references_by_length))
    rows = (
        ("Distinct", f"{counted.distinct:,}", f"Different captions among the {total:,}."),
        ("New", f"{counted.novel:,}", f"Of the {total:,}; the others stand in training, word for word."),
        ("Vocabulary", f"{counted.words_said:,}", f"Words used, of {counted.words_known:,} known."),
        ("Length", f"{mean:.1f}", f"Words a caption, on average; people's have {people:.1f}."),
    )
    return cards("".join(card(*row) for row in rows))


def _lengths(counted: Variety) -> str:
    return bar_chart(
        "Length of captions, %",
        "words",
        [
            Series("generated", _shares(counted.captions_by_length)),
            Series("people's", _shares(counted.references_by_length)),
        ],
    )


def _shares(by_length: Sequence[int]) -> list[Point]:
    total = sum(by_length)
    return [(words, 100 * count / total) for words, count in enumerate(by_length) if count]


def _frequent(captions: Mapping[str, int]) -> str:
    rows = "".join(
        f'<tr><td dir="auto">{_said(caption)}</td><td>{count:,}</td></tr>'
        for caption, count in captions.items()
    )
    if not rows:
        return ""
    head = '<thead><tr><th scope="col">Caption</th><th scope="col">Times</th></tr></thead>'
    table = f"<table>{head}<tbody>{rows}</tbody></table>"
    return f'<div class="frequent"><h3>Said more than once</h3>{table}</div>\n'


def shows_gaze(gazes: Sequence[Gazed]) -> str:
    """The section on where the model looked; nothing where nobody can tell."""
    return f"<p>{_LOOKING}</p>\n{''.join(map(_gazed, gazes))}" if gazes else ""


def _gazed(gazed: Gazed) -> str:
    whole = _captioned(gazed.thumbnail, _said(gazed.caption), "the picture")
    words = "".join(_captioned(content, "", plain(word)) for word, content in gazed.words)
    return f'<div class="gaze">{whole}{words}</div>\n'


def _captioned(content: bytes, alt: str, below: str) -> str:
    return f'<figure>{picture(content, alt)}<figcaption dir="auto">{below}</figcaption></figure>'


def _said(caption: str) -> str:
    return plain(caption.strip() or "(no words)")
