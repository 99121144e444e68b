"""docs/performance.md, in which benchmarks write their tables. Not a benchmark."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs/performance.md"


def write_table(name: str, text: str) -> None:
    """Put a text between the page's marks of that name."""
    marked = re.compile(f"(?<=<!-- {name} -->\\n).*(?=<!-- end of {name} -->)", re.DOTALL)
    PAGE.write_text(marked.sub(lambda _: text, PAGE.read_text(encoding="utf-8")), encoding="utf-8")
