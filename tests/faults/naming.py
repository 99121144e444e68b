"""What every fault may end in: success, or one sentence."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from capflow.errors import CapflowError


@contextmanager
def works_or_names(start: str) -> Iterator[None]:
    """Let a clear error pass, one line that begins with ``start``; any other exception is a failure."""
    try:
        yield
    except CapflowError as error:
        sentence = str(error)
        if not sentence.startswith(start) or len(sentence) > 1000 or "\n" in sentence:
            pytest.fail(f"not a clear sentence: {sentence!r}")
