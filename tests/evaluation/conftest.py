"""What tests of evaluations share."""

from pathlib import Path

import pytest

from stages import evaluate
from tests.evaluation.scored import fill


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: a checkout whose model has captioned five pictures of val and of test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(evaluate, "record", lambda *_: None)
    fill(tmp_path)
    return tmp_path
