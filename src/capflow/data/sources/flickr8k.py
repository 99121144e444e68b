"""Flickr8k, as people have it on their disks.

M. Hodosh, P. Young, J. Hockenmaier, "Framing Image Description as a Ranking Task" (JAIR 47, 2013).
"""

import reprlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from capflow import project
from capflow.data import archives
from capflow.data.annotations import Annotations, CaptionRecord, ImageRecord, is_file_name
from capflow.data.sources import Missing
from capflow.data.sources.photos import PhotoSpec, Row, checked, read_table
from capflow.errors import CapflowError
from capflow.params import SPLITS, Split

_ARCHIVES = ("images.zip", "Flickr8k_Dataset.zip")
_FOLDERS = ("Images", "images", "Flicker8k_Dataset", "Flickr8k_Dataset", ".")
_CAPTIONS = ("captions.csv", "captions.txt", "Flickr8k.token.txt")
_LISTS: Mapping[Split, tuple[str, ...]] = {
    "train": ("train.txt", "Flickr_8k.trainImages.txt"),
    "val": ("dev.txt", "val.txt", "Flickr_8k.devImages.txt"),
    "test": ("test.txt", "Flickr_8k.testImages.txt"),
}


class Flickr8kSpec(PhotoSpec):
    """dataset.yaml of Flickr8k. ``root`` is its folder; null: the folder of dataset.yaml itself."""

    kind: Literal["flickr8k"]
    root: str | None


class Flickr8kSource:
    """The three splits of Flickr8k; without a list of test pictures, test has none."""

    def __init__(self, spec: Flickr8kSpec, home: Path) -> None:
        self._spec = spec
        self._root = project.root() / (spec.root or home)

    def annotations(self) -> dict[Split, Annotations]:
        """The splits as their lists have them, with the captions of the table.

        Raises:
            CapflowError: a file is missing, a listed picture has no caption or is in two splits.
        """
        rows = _read_captions(self._one_of(_CAPTIONS, "captions"))
        # Numbered over all splits by name, so that an id means the same picture whatever is left out.
        ids = {name: number for number, name in enumerate(sorted({row.image for row in rows}), start=1)}
        captions = [
            CaptionRecord(id=number, image_id=ids[row.image], caption=row.caption)
            for number, row in enumerate(rows, start=1)
        ]
        images = [ImageRecord(id=number, file_name=name) for name, number in ids.items()]
        whole = Annotations(images, captions, {"description": "Flickr8k"})
        return {split: self._spec.choose(whole.only(part)) for split, part in self._split(ids).items()}

    def pack(self, split: Split, annotations: Annotations, target: Path) -> list[Missing]:  # noqa: ARG002
        """Pack the pictures of one split, from the archive or the folder that holds them.

        Raises:
            CapflowError: there is neither.
        """
        with self._open() as read:
            return archives.pack(target, [image["file_name"] for image in annotations.images], read)

    def _split(self, ids: Mapping[str, int]) -> dict[Split, set[int]]:
        parts: dict[Split, set[int]] = {}
        owner: dict[str, str] = {}
        for split in SPLITS:
            path = (
                None
                if split == "test" and not self._has(_LISTS[split])
                else self._one_of(_LISTS[split], split)
            )
            names = _read_list(path) if path else []
            for name in names:
                if name not in ids:
                    raise CapflowError(f"{path}: {name} has no captions; correct the list or the captions.")
                if owner.setdefault(name, split) != split:
                    raise CapflowError(
                        f"{path}: {name} is in {owner[name]} too; a picture is in one split only."
                    )
            parts[split] = {ids[name] for name in names}
        return parts

    def _has(self, names: tuple[str, ...]) -> bool:
        return any((self._root / name).is_file() for name in names)

    def _one_of(self, names: tuple[str, ...], what: str) -> Path:
        for name in names:
            if (self._root / name).is_file():
                return self._root / name
        raise CapflowError(
            f"{self._root}: there is no {' or '.join(names)} ({what} of Flickr8k); "
            "put it there, or correct `root` of the data set."
        )

    @contextmanager
    def _open(self) -> Iterator[Callable[[str], bytes]]:
        if self._has(_ARCHIVES):
            with archives.pictures_in(self._one_of(_ARCHIVES, "pictures")) as held:
                yield lambda name: held[name]()
        else:
            folder = self._folder()
            yield lambda name: (folder / name).read_bytes()

    def _folder(self) -> Path:
        for name in _FOLDERS:
            if any((self._root / name).glob("*.jpg")):
                return self._root / name
        raise CapflowError(
            f"{self._root}: there is no {_ARCHIVES[0]} and no folder {_FOLDERS[0]} with JPEG files; "
            "put the pictures there, or correct `root` of the data set."
        )


def _read_captions(path: Path) -> list[Row]:
    rows = _read_tokens(path) if path.name.endswith(".token.txt") else read_table(path)
    for row in rows:
        if not is_file_name(row.image):
            raise CapflowError(
                f"{row.place}: {reprlib.repr(row.image)} is not the plain name of a file; correct the line."
            )
    return [row._replace(image=_file_name(row.image)) for row in rows]


def _read_tokens(path: Path) -> list[Row]:
    """The original form: ``name.jpg#0``, a tab, the caption."""
    rows = []
    for number, line in enumerate(_lines(path), start=1):
        image, tab, caption = line.partition("\t")
        if not tab:
            raise CapflowError(
                f"{path}:{number}: {reprlib.repr(line)} has no tab before the caption; correct the line."
            )
        rows.append(checked(Row(image.partition("#")[0], caption, "", f"{path}:{number}")))
    return rows


def _read_list(path: Path) -> list[str]:
    return [_file_name(line.strip()) for line in _lines(path) if line.strip()]


def _lines(path: Path) -> list[str]:
    try:
        # Not splitlines(): a caption may hold one of the rarer line separators.
        return [line for line in path.read_text(encoding="utf-8-sig").split("\n") if line]
    except UnicodeDecodeError as error:
        raise CapflowError(f"{path}: not UTF-8 ({error}); save it as such.") from None


def _file_name(name: str) -> str:
    """The picture's file name: lists leave ``.jpg`` out, and one stray name has ``.jpg.1``."""
    return name.partition(".jpg")[0] + ".jpg"
