"""Where data sets come from: one class for each kind of source, behind one protocol."""

from pathlib import Path
from typing import NamedTuple, Protocol

from capflow.data.annotations import Annotations
from capflow.params import Split


class Missing(NamedTuple):
    """A picture that could not be had, and why."""

    file_name: str
    reason: str


class Source(Protocol):
    """A data set that can write itself in COCO's form."""

    def annotations(self) -> dict[Split, Annotations]:
        """The three splits; a split may be empty, and test may be without captions."""
        ...

    def pack(self, split: Split, annotations: Annotations, target: Path) -> list[Missing]:
        """Write the pictures of one split to the ZIP ``target`` (stored, not compressed).

        Each member is called by the record's ``file_name``, alone or below one folder.
        """
        ...
