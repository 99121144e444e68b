"""The one way in which captions are cleaned, and the one in which they are not.

Annotations keep captions raw, as people wrote them. The vocabulary and the model see :func:`one_line`
of them; the scores see :func:`unbroken`, because cleaning would change what is compared.
"""

import unicodedata

# Control characters, lone surrogates, line and paragraph separators: nothing that a person wrote on
# purpose, and some of them end a line where the others do not.
_BLANK = frozenset({"Cc", "Cs", "Zl", "Zp"})

# Characters of no width and blanks: a text of nothing else shows nothing.
_UNSEEN = _BLANK | {"Cf", "Zs"}


def shows_nothing(text: str) -> bool:
    """Whether a text has no character that can be seen: empty, blanks, joiners and the like."""
    return all(unicodedata.category(letter) in _UNSEEN for letter in text)


def one_line(text: str) -> str:
    """The text with each run of blanks, line separators and control characters as one space.

    Blanks at the ends go. Every other character stays: letters of any script, emoji with their joiners.
    """
    # Nearly all captions are printable, and this says so without a look at each character.
    if not text.isprintable():
        text = "".join(" " if unicodedata.category(letter) in _BLANK else letter for letter in text)
    return " ".join(text.split())


def unbroken(text: str) -> str:
    """The raw text with a space in the place of each line separator, and nothing else changed.

    So captions can be handed line by line to a program that knows fewer separators than Unicode, or
    others, and none of them shifts to the next picture.
    """
    return " ".join(text.splitlines())
