"""Your own photographs: a folder, and a table of their captions."""

import hashlib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from capflow.data import archives
from capflow.data.annotations import Annotations, CaptionRecord, ImageRecord, is_file_name
from capflow.data.sources import Missing
from capflow.data.sources.photos import PhotoSpec, Row, read_table
from capflow.errors import CapflowError
from capflow.files import read_regular
from capflow.params import SPLITS, Share, Split
from capflow.sections import Section

_NAMES: Mapping[str, Split] = {
    "train": "train", "val": "val", "dev": "val", "validation": "val", "test": "test",
}  # fmt: skip


class Shares(Section):
    """The shares of the pictures that go to val and test; the rest is train."""

    val: Share
    test: Share

    @model_validator(mode="after")
    def _something_is_left(self) -> "Shares":
        if self.val + self.test >= 1:
            raise ValueError(f"`shares` leave no picture for train: val {self.val} and test {self.test}")
        return self


class FolderSpec(PhotoSpec):
    """dataset.yaml of a folder."""

    kind: Literal["folder"]
    table: str
    shares: Shares
    seed: Annotated[int, Field(ge=0)]


class FolderSource:
    """Photographs below a folder, and a CSV ``image,caption[,split]``.

    ``image`` is the path of a photograph below the folder, or its bare name if no other photograph
    has it. In the archives a path becomes a plain name: ``a/b.jpg`` is called ``a__b.jpg``.
    """

    def __init__(self, spec: FolderSpec, root: Path) -> None:
        self._spec, self._root = spec, root
        self._table = self._root / spec.table

    def annotations(self) -> dict[Split, Annotations]:
        """The splits as the table has them; pictures without one are dealt out by the seed.

        Raises:
            CapflowError: names the line of the table that is wrong.
        """
        rows = read_table(self._table)
        names = self._names(rows)
        ids = {name: _number(name) for name in sorted(set(names.values()))}
        captions = [
            CaptionRecord(id=number, image_id=ids[names[row.image]], caption=row.caption)
            for number, row in enumerate(rows, start=1)
        ]
        images = [ImageRecord(id=number, file_name=name) for name, number in ids.items()]
        whole = Annotations(images, captions, {"description": f"Photographs of {self._root.name}"})
        splits = deal(_given_splits(rows, names), list(ids), self._spec.shares, self._spec.seed)
        return {
            split: self._spec.choose(whole.only({ids[name] for name in splits if splits[name] == split}))
            for split in SPLITS
        }

    def pack(self, split: Split, annotations: Annotations, target: Path) -> list[Missing]:  # noqa: ARG002
        """Pack the photographs of one split."""
        names = [image["file_name"] for image in annotations.images]
        photographs = self._photographs
        return archives.pack(target, names, lambda name: read_regular(photographs[name]))

    @cached_property
    def _photographs(self) -> dict[str, Path]:
        """All files below the root, by the names that they have in the archives."""
        found: dict[str, Path] = {}
        for path in sorted(path for path in self._root.rglob("*") if not path.is_dir()):
            name = _flat(path.relative_to(self._root).as_posix())
            if name in found:
                raise CapflowError(
                    f"{path}: {found[name]} would have the same name, {name}; rename one of them."
                )
            found[name] = path
        return found

    def _names(self, rows: list[Row]) -> dict[str, str]:
        """The archive's name for each ``image`` of the table, also for photographs that are absent."""
        by_bare_name: dict[str, list[str]] = {}
        for name, path in self._photographs.items():
            by_bare_name.setdefault(path.name, []).append(name)
        names: dict[str, str] = {}
        plain: dict[str, str] = {}
        for row in rows:
            name = _flat(row.image)
            if plain.setdefault(name, row.image).removeprefix("./") != row.image.removeprefix("./"):
                raise CapflowError(
                    f"{row.place}: {row.image} and {plain[name]} would have one name in the archive; "
                    "rename one of them."
                )
            names[row.image] = self._found(row, name, by_bare_name.get(row.image, []))
        return names

    def _found(self, row: Row, name: str, called_so: list[str]) -> str:
        """``name``, or that of the only photograph whose bare name the table gives."""
        if not is_file_name(name):
            raise CapflowError(
                f"{row.place}: {name} is too long for the name of a file; move the photograph up."
            )
        if name in self._photographs or not called_so:
            return name
        if len(called_so) > 1:
            raise CapflowError(
                f"{row.place}: several photographs are called {row.image}; write its folder, too."
            )
        return called_so[0]


def _number(name: str) -> int:
    """A picture's id, its own whatever others there are: runs before and after these came can be compared.

    It has 53 bits, which every reader of JSON keeps. Of a million pictures two share one at odds of
    1 : 18,000; the annotations are refused then.
    """
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) >> 11


def _flat(path: str) -> str:
    return path.removeprefix("./").replace("/", "__")


def _given_splits(rows: list[Row], names: Mapping[str, str]) -> dict[str, Split]:
    """The split of each picture that has one in the table."""
    splits: dict[str, Split] = {}
    for row in rows:
        if not row.split:
            continue
        if row.split not in _NAMES:
            raise CapflowError(
                f"{row.place}: the split {row.split!r} is none of {', '.join(SPLITS)}; correct it."
            )
        if splits.setdefault(names[row.image], _NAMES[row.split]) != _NAMES[row.split]:
            raise CapflowError(
                f"{row.place}: {row.image} is in another split above; a picture is in one split only."
            )
    return splits


def deal(given: Mapping[str, Split], names: list[str], shares: Shares, seed: int) -> dict[str, Split]:
    """Give each picture a split: its own, or one by the order of seeded digests of the names.

    Args:
        given: pictures whose split is decided.
        names: all pictures; a picture's place in the order does not depend on the others.
        shares: of the pictures that are dealt out; rounded, but at least one where a share is not 0
            and three or more pictures are dealt.
        seed: decides the order.
    """
    free = [name for name in names if name not in given]
    free.sort(key=lambda name: hashlib.sha256(f"{seed}/{name}".encode()).digest())
    least = 1 if len(free) >= 3 else 0
    val, test = (max(round(share * len(free)), least if share else 0) for share in (shares.val, shares.test))
    dealt = {name: _split_at(place, val, test) for place, name in enumerate(free)}
    return {**given, **dealt}


def _split_at(place: int, val: int, test: int) -> Split:
    if place < val:
        return "val"
    return "test" if place < val + test else "train"
