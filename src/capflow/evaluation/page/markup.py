"""Pieces of the report page that several of its sections are made of."""

import base64
from html import escape


def plain(value: str) -> str:
    """Text that is no markup, and :func:`whole`."""
    return escape(whole(value))


def whole(value: str) -> str:
    """Text as it is, but for half a surrogate pair, which JSON may hold: it becomes a question mark."""
    return value.encode(errors="replace").decode()


def cards(rows: str) -> str:
    """A list of figures, made of :func:`card`; nothing where there are none."""
    return f'<dl class="scores">\n{rows}</dl>\n' if rows else ""


def card(name: str, value: str, sentence: str) -> str:
    """A figure with its name and what it says; ``value`` is markup."""
    return f"<div><dt>{plain(name)}</dt><dd>{value}</dd><dd>{plain(sentence)}</dd></div>\n"


def picture(content: bytes | None, alt: str) -> str:
    """A JPEG, or the room for one that is not there; ``alt`` is markup."""
    if content is None:
        return f'<div class="picture" role="img" aria-label="{alt}">no picture</div>'
    return (
        f'<img class="picture" alt="{alt}" src="data:image/jpeg;base64,{base64.b64encode(content).decode()}">'
    )
