"""A process that has loaded the downloader and can be killed."""

from collections.abc import Iterator

import pytest

from tests.faults.work import Kennel


@pytest.fixture(scope="session")
def kennel() -> Iterator[Kennel]:
    """Starts processes in milliseconds."""
    kennel = Kennel()
    yield kennel
    kennel.close()
