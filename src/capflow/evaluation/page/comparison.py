"""Two runs side by side: scores, curves, the parameters that differ, and what each says of a picture."""

from collections.abc import Sequence

from capflow.evaluation.page.browser import Browser, shows_browser
from capflow.evaluation.page.charts import Series, line_chart, points
from capflow.evaluation.page.markup import plain
from capflow.evaluation.page.naming import label, ordered
from capflow.evaluation.page.shell import build_page
from capflow.evaluation.runs import Run

NOW = "this run"
# What is drawn: title, table, x and y.
_CURVES = (
    ("Training loss", "steps", "step", "train_loss"),
    ("Validation loss", "epochs", "step", "val_loss"),
    ("CIDEr of val", "epochs", "epoch", "val_CIDEr"),
    ("Learning rate", "steps", "step", "lr"),
)


def build_comparison(now: Run, then: Run, split: str, notes: Sequence[str], browser: Browser) -> str:
    """Build the page: HTML that needs no other file and no network.

    Args:
        now: the run in the checkout.
        then: another one.
        split: where the pictures are from.
        notes: sentences that a reader must know.
        browser: the pictures that both have scored.
    """
    sections = {
        "Scores": _scores(now, then),
        "Training": _curves(now, then),
        "Parameters that differ": _parameters(now, then),
        "All pictures": shows_browser(browser),
    }
    summary = f"{browser.total:,} pictures of {split} that both runs have scored"
    return build_page(f"{NOW} and {then.name}", summary, notes, sections, browser)


def _scores(now: Run, then: Run) -> str:
    rows = ""
    for name in ordered(now.scores.keys() | then.scores.keys()):
        pair = (now.scores.get(name), then.scores.get(name))
        cells = ["&mdash;" if value is None else f"{value:.3f}" for value in pair]
        gain = "" if pair[0] is None or pair[1] is None else f"{pair[0] - pair[1]:+.3f}"
        rows += _row(label(name), [*cells, gain], ' class="number"')
    return _table(["Score", NOW, then.name, "difference"], rows)


def _curves(now: Run, then: Run) -> str:
    drawn = (
        line_chart(title, x, [Series(run.name, points(getattr(run, rows), x, y)) for run in (now, then)])
        for title, rows, x, y in _CURVES
    )
    charts = "".join(drawn)
    return f'<div class="charts">\n{charts}</div>\n' if charts else ""


def _parameters(now: Run, then: Run) -> str:
    keys = list(dict.fromkeys([*now.parameters, *then.parameters]))
    rows = "".join(
        _row(key, [_shown(run.parameters.get(key)) for run in (now, then)])
        for key in keys
        if now.parameters.get(key) != then.parameters.get(key)
    )
    return _table(["Parameter", NOW, then.name], rows) if rows else "<p>None.</p>\n"


def _shown(value: str | None) -> str:
    return "&mdash;" if value is None else plain(value)


def _row(name: str, cells: Sequence[str], kind: str = "") -> str:
    values = "".join(f"<td{kind}>{cell}</td>" for cell in cells)
    return f'<tr><th scope="row">{plain(name)}</th>{values}</tr>\n'


def _table(head: Sequence[str], rows: str) -> str:
    heads = "".join(f'<th scope="col">{plain(name)}</th>' for name in head)
    return f'<table class="compared"><thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}</tbody></table>\n'
