"""Flickr8k, as people have it on their disks, and what Flickr30k shares with it.

M. Hodosh, P. Young, J. Hockenmaier, "Framing Image Description as a Ranking Task" (JAIR 47, 2013).
"""

import re
import reprlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

from capflow.data import archives
from capflow.data.annotations import Annotations, CaptionRecord, ImageRecord, is_file_name
from capflow.data.sources import Missing, karpathy
from capflow.data.sources.photos import PhotoSpec, Row, checked, read_table
from capflow.errors import CapflowError
from capflow.files import read_regular
from capflow.params import SPLITS, Split


class Layout(NamedTuple):
    """How people have a Flickr data set on their disks; of several names the first that is there counts.

    Attributes:
        title: its name.
        whole: Karpathy's file, which has both captions and splits.
        archives: of the pictures.
        folders: of the pictures, where there is no archive.
        captions: tables of captions.
        lists: of the pictures of each split.
    """

    title: str
    whole: str
    archives: tuple[str, ...]
    folders: tuple[str, ...]
    captions: tuple[str, ...]
    lists: Mapping[Split, tuple[str, ...]]


FLICKR8K = Layout(
    title="Flickr8k",
    whole="dataset_flickr8k.json",
    archives=("images.zip", "Flickr8k_Dataset.zip"),
    folders=("Images", "images", "Flicker8k_Dataset", "Flickr8k_Dataset", "."),
    captions=("captions.csv", "captions.txt", "Flickr8k.token.txt"),
    lists={
        "train": ("train.txt", "Flickr_8k.trainImages.txt"),
        "val": ("dev.txt", "val.txt", "Flickr_8k.devImages.txt"),
        "test": ("test.txt", "Flickr_8k.testImages.txt"),
    },
)


class FlickrSpec(PhotoSpec):
    """What Flickr8k and Flickr30k have in common."""


class Flickr8kSpec(FlickrSpec):
    """dataset.yaml of Flickr8k."""

    kind: Literal["flickr8k"]


class FlickrSource:
    """The three splits of Flickr8k or Flickr30k; without a list of test pictures, test has none."""

    def __init__(self, spec: FlickrSpec, root: Path, layout: Layout = FLICKR8K) -> None:
        self._spec, self._root, self._layout = spec, root, layout

    def annotations(self) -> dict[Split, Annotations]:
        """The splits and captions of Karpathy's file; without it, those of the lists and the table.

        Raises:
            CapflowError: a file is missing, a listed picture has no caption or is in two splits.
        """
        rows = self._rows()
        # Numbered over all splits by name, so that an id means the same picture whatever is left out.
        ids = {name: number for number, name in enumerate(sorted({row.image for row in rows}), start=1)}
        captions = [
            CaptionRecord(id=number, image_id=ids[row.image], caption=row.caption)
            for number, row in enumerate(rows, start=1)
        ]
        images = [ImageRecord(id=number, file_name=name) for name, number in ids.items()]
        whole = Annotations(images, captions, {"description": self._layout.title})
        return {split: self._spec.choose(whole.only(part)) for split, part in self._split(ids, rows).items()}

    def pack(self, split: Split, annotations: Annotations, target: Path) -> list[Missing]:  # noqa: ARG002
        """Pack the pictures of one split, from the archive or the folder that holds them.

        Raises:
            CapflowError: there is neither.
        """
        with self._open() as read:
            return archives.pack(target, [image["file_name"] for image in annotations.images], read)

    def _rows(self) -> list[Row]:
        whole = self._root / self._layout.whole
        if whole.is_file():
            return karpathy.read_captions(whole)
        return _read_captions(self._one_of(self._layout.captions, "captions"))

    def _split(self, ids: Mapping[str, int], rows: Sequence[Row]) -> dict[Split, set[int]]:
        if any(row.split for row in rows):
            return {split: {ids[row.image] for row in rows if row.split == split} for split in SPLITS}
        parts: dict[Split, set[int]] = {}
        owner: dict[str, str] = {}
        for split in SPLITS:
            path = (
                None
                if split == "test" and not self._has(self._layout.lists[split])
                else self._one_of(self._layout.lists[split], split)
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
            f"{self._root}: there is no {' or '.join(names)} ({what} of {self._layout.title}); "
            "put it there, or correct `data.root` in params.yaml."
        )

    @contextmanager
    def _open(self) -> Iterator[Callable[[str], bytes]]:
        if self._has(self._layout.archives):
            with archives.pictures_in(self._one_of(self._layout.archives, "pictures")) as held:
                yield lambda name: held[name]()
        else:
            folder = self._folder()
            yield lambda name: read_regular(folder / name)

    def _folder(self) -> Path:
        for name in self._layout.folders:
            if any((self._root / name).glob("*.jpg")):
                return self._root / name
        raise CapflowError(
            f"{self._root}: there is no {self._layout.archives[0]} and no folder "
            f"{self._layout.folders[0]} with JPEG files; "
            "put the pictures there, or correct `data.root` in params.yaml."
        )


def _read_captions(path: Path) -> list[Row]:
    if path.name.endswith((".token", ".token.txt")):
        rows = _read_tokens(path)
    else:
        rows = _read_bars(path) if path.name == "results.csv" else read_table(path)
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


def _read_bars(path: Path) -> list[Row]:
    """Kaggle's form of Flickr30k: ``name.jpg| 0| caption`` below a header.

    One line of the file that everybody has lacks its second bar, and is read all the same.
    """
    rows = []
    for number, line in enumerate(_lines(path)[1:], start=2):
        found = re.fullmatch(r"([^|]+)\|\s*\d+\s*\|?(.*)", line)
        if not found:
            raise CapflowError(f"{path}:{number}: {line!r} is not name| number| caption; correct the line.")
        rows.append(checked(Row(found[1].strip(), found[2].strip(), "", f"{path}:{number}")))
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
    stray = re.fullmatch(r"(.+\.jpg)\.\d", name)
    if stray:
        return stray[1]
    return name if "." in name else f"{name}.jpg"
