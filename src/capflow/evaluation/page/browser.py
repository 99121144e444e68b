"""Pictures to search, sort and filter: a section of controls, and the data that its script reads.

The script (``browser.js``) makes an item only when somebody comes to see it, and so thousands of pictures
cost a page no more than its size. Captions reach it as JSON, which is no markup, and the page as text.
"""

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from capflow.evaluation.gallery import Example
from capflow.evaluation.page.markup import plain, whole
from capflow.evaluation.page.naming import label, ordered

_WORD = re.compile(r"\w+(?:['\u2019]\w+)*")
_READING = "Underlined with dots: words of a generated caption that stand in no human caption of the picture."
_NO_SCRIPT = "<noscript><p>Searching needs JavaScript, which is switched off here.</p></noscript>\n"


class Before(NamedTuple):
    """What another run said of a picture, and its scores."""

    caption: str
    scores: Mapping[str, float]


@dataclass(frozen=True)
class Browser:
    """Pictures to search and sort.

    Attributes:
        examples: the pictures, with small thumbnails of any format that browsers know.
        total: how many pictures are scored; more than ``examples`` where some had to be left out.
        then: what to call another run; nothing where there is none.
        before: what the other run said, by image id.
    """

    examples: Sequence[Example] = ()
    total: int = 0
    then: str = ""
    before: Mapping[int, Before] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """The scores that pictures have, in the order of the page."""
        return ordered({name for example in self.examples for name in _scores(example)})


def shows_browser(browser: Browser) -> str:
    """The section: controls, and room for what is found; nothing without pictures."""
    if not browser.examples:
        return ""
    drawn = f"Of {browser.total:,} pictures {len(browser.examples):,}, drawn at random. "
    intro = _READING if browser.total <= len(browser.examples) else drawn + _READING
    differ = (
        '<p><input type="checkbox" id="differ"><label for="differ">only captions that differ</label></p>\n'
        if browser.then
        else ""
    )
    return (
        f"<p>{intro}</p>\n{_NO_SCRIPT}"
        '<div class="controls" role="search" aria-label="Pictures" hidden>\n'
        '<p><label for="find">With the words</label><input type="search" id="find" autocomplete="off"></p>\n'
        f"{_select('within', 'in', _places(browser))}"
        f"{_select('sort', 'Sort by', _orders(browser))}"
        f"{_select('order', 'Order', [('down', 'highest first'), ('up', 'lowest first')])}"
        '<p><label for="most">Share of words that people also wrote, at most, %</label>'
        '<input type="number" id="most" min="0" max="100" step="5" value="100"></p>\n'
        f"{differ}</div>\n"
        '<output id="count" aria-live="polite"></output>\n<ol id="found" class="found"></ol>\n'
        '<button type="button" id="more" hidden>Show more</button>\n'
    )


def _places(browser: Browser) -> list[tuple[str, str]]:
    generated = "the generated captions" if not browser.then else "the generated captions of both runs"
    return [("all", "all captions and file names"), ("said", generated), ("people", "the human captions")]


def _orders(browser: Browser) -> list[tuple[str, str]]:
    names = [(name, label(name)) for name in browser.names]
    changes = [(f"change:{name}", f"{title}: gain over {browser.then}") for name, title in names]
    others = [("shared", "Share of words that people also wrote"), ("length", "Words of the caption")]
    return [*(changes if browser.then else ()), *names, *others, ("file", "File name")]


def _select(identity: str, title: str, options: Sequence[tuple[str, str]]) -> str:
    chosen = "".join(f'<option value="{plain(value)}">{plain(text)}</option>' for value, text in options)
    return f'<p><label for="{identity}">{title}</label><select id="{identity}">{chosen}</select></p>\n'


def data_of(browser: Browser) -> str:
    """What the script reads: captions and scores as JSON, and a line of Base64 for each thumbnail."""
    names = browser.names
    content = {
        "names": names,
        "labels": list(map(label, names)),
        "then": browser.then,
        "pictures": [
            _record(example, browser.before.get(example.image_id), names) for example in browser.examples
        ],
    }
    # In ASCII and without these characters it is no markup, whatever the captions hold.
    text = json.dumps(content, separators=(",", ":")).replace("<", r"\u003c").replace("&", r"\u0026")
    small = "\n".join(base64.b64encode(example.thumbnail or b"").decode() for example in browser.examples)
    return (
        f'<script type="application/json" id="pictures-data">{text}</script>\n'
        f'<script type="text/plain" id="thumbnails">{small}</script>\n'
    )


def _record(example: Example, before: Before | None, names: Sequence[str]) -> dict[str, Any]:
    share, alone = shared(example.caption, example.references)
    was = _was(before, example.references, names) if before else {}
    return {
        "file": whole(example.file_name),
        "said": whole(example.caption),
        "people": list(map(whole, example.references)),
        "has": _row(_scores(example), names),
        "shared": round(100 * share, 1),
        "alone": alone,
        **was,
    }


def _was(before: Before, references: Sequence[str], names: Sequence[str]) -> dict[str, Any]:
    """What the other run said, as the script reads it."""
    _, alone = shared(before.caption, references)
    return {"before": whole(before.caption), "had": _row(before.scores, names), "stray": alone}


def _scores(example: Example) -> dict[str, float]:
    known = {} if example.true is None else {"truth": float(example.true)}
    return {**known, **example.scores}


def _row(scores: Mapping[str, float], names: Sequence[str]) -> list[float | None]:
    return [round(scores[name], 4) if name in scores else None for name in names]


def shared(caption: str, references: Sequence[str]) -> tuple[float, list[str]]:
    """The share of a caption's words that stand in a human caption, and those that stand in none.

    A word counts once, and in any case of letters. A caption without words shares nothing.
    """
    said = dict.fromkeys(_WORD.findall(caption.lower()))
    known = {word for reference in references for word in _WORD.findall(reference.lower())}
    alone = [word for word in said if word not in known]
    return (1 - len(alone) / len(said) if said else 0.0), alone
