"""What waits to be sent, and for which store."""

from collections import Counter
from collections.abc import Mapping

from capflow import project
from capflow.record.journal import Journal, journals
from capflow.tracking import address


def here() -> list[Journal]:
    """The journals that wait for the store that is chosen now, oldest first."""
    return [journal for journal in journals(project.record()) if journal.address() == address()]


def elsewhere() -> Mapping[str, int]:
    """How many journals wait for each other store."""
    addresses = [journal.address() for journal in journals(project.record())]
    return Counter(place or "the store at the root" for place in addresses if place != address())
