"""What all tests share."""

import os

import pytest
from hypothesis import settings

# A busy machine is no reason to fail, and the same examples each time are one to trust CI.
settings.register_profile("capflow", deadline=None, derandomize=True)
settings.load_profile("capflow")


@pytest.fixture(autouse=True)
def _outside_of_experiments(monkeypatch: pytest.MonkeyPatch) -> None:
    """DVC's variables, and a tracking server of the user's, must not leak into tests."""
    for name in [*os.environ]:
        if name.startswith(("DVC_", "MLFLOW_TRACKING")):
            monkeypatch.delenv(name)
