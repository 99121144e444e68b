"""Where data sets come from: one class for each kind of source, behind one protocol."""

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

from capflow.data.annotations import Annotations
from capflow.params import Split


class Missing(NamedTuple):
    """A picture that could not be had or read, and why."""

    file_name: str
    reason: str


def missing_table(missing: Mapping[Split, Iterable[Missing]]) -> str:
    """A CSV with a row for each picture of each split."""
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(["split", *Missing._fields])
    rows.writerows((split, *picture) for split, pictures in missing.items() for picture in pictures)
    return table.getvalue()


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
