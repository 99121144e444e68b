"""What every page is in: its head, its style, its sections, and one script, the only one that may run.

All that a page shows is in it, and its content security policy forbids a browser to fetch anything, or to
run any script but ours, which it knows by its digest.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from string import Template

from capflow.evaluation.page.browser import Browser, data_of
from capflow.evaluation.page.markup import plain


def build_page(
    heading: str, summary: str, notes: Sequence[str], sections: Mapping[str, str], browser: Browser
) -> str:
    """Build a page: HTML that needs no other file and no network.

    Args:
        heading: what the page is about, in a few words.
        summary: the line below it.
        notes: sentences that a reader must know.
        sections: markup by heading, in their order; what is empty is left out.
        browser: the pictures that one of the sections is for.

    Returns:
        The page as text that is valid UTF-8, whatever the captions hold.
    """
    shown = {name: content for name, content in sections.items() if content}
    script = _resource("browser.js") if browser.examples else ""
    return Template(_resource("page.html.in")).substitute(
        policy=_policy(script),
        title=plain(f"{heading}: Capflow"),
        style=_resource("page.css"),
        heading=plain(heading),
        summary=plain(summary),
        navigation="".join(f'<a href="#{_anchor(name)}">{name}</a>' for name in shown),
        notes=_notes(notes),
        sections="".join(
            f'<section id="{_anchor(name)}">\n<h2>{name}</h2>\n{content}</section>\n'
            for name, content in shown.items()
        ),
        scripts=f"{data_of(browser)}<script>{script}</script>\n" if script else "",
    )


def _policy(script: str) -> str:
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    allowed = f"; script-src 'sha256-{digest}'" if script else ""
    return f"default-src 'none'; img-src data:; style-src 'unsafe-inline'{allowed}"


def _anchor(heading: str) -> str:
    return heading.lower().replace(" ", "-")


def _resource(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _notes(notes: Sequence[str]) -> str:
    items = "".join(f"<li>{plain(note)}</li>" for note in notes)
    return f'<ul class="notes">{items}</ul>' if items else ""
