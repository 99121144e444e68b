"""COCO captions, from COCO's bucket or from a mirror of it.

X. Chen et al., "Microsoft COCO Captions: Data Collection and Evaluation Server" (arXiv:1504.00325).
"""

import logging
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal
from urllib.parse import quote, urlsplit

from pydantic import Field, model_validator

from capflow import project
from capflow.data import annotations as coco_json
from capflow.data import archives
from capflow.data.annotations import Annotations, ImageRecord
from capflow.data.download import Request, fetch
from capflow.data.headers import picture_fault
from capflow.data.sources import Missing, karpathy
from capflow.data.sources.photos import PhotoSpec
from capflow.data.sources.remote import Address, PlainPath, Remote, RemoteFile
from capflow.errors import CapflowError
from capflow.files import parse_json
from capflow.params import SPLITS, Count, Section, Split

logger = logging.getLogger(__name__)


# An address has to end in the plain name of a file, which it gets in the store.
PathOrAddress = Annotated[str, Field(pattern=r"^([^:]+|https?://[^\s?#]+/\w[\w.-]*)$")]


class CocoSplit(Section):
    """One of COCO's own splits: its JSON, the folder of its pictures, and all of them as a ZIP."""

    images: Count
    annotations: RemoteFile
    folder: PlainPath
    zip: RemoteFile


class CocoSpec(PhotoSpec):
    """dataset.yaml of COCO 2014 and 2017: where COCO is, and which part of it is used."""

    kind: Literal["coco"]
    split: Literal["official", "karpathy"]
    karpathy: PathOrAddress | None
    base: Address
    mirror: Address | None
    archives: tuple[RemoteFile, ...]
    splits: Annotated[dict[Split, CocoSplit], Field(min_length=len(SPLITS))]

    @model_validator(mode="after")
    def _karpathy_is_named(self) -> "CocoSpec":
        if self.split == "karpathy" and self.karpathy is None:
            raise ValueError(f"`split: karpathy` needs `karpathy`, a path or an address of {karpathy.FILE}")
        return self


class CocoSource:
    """COCO's training and validation splits with captions, and its test split without."""

    def __init__(self, spec: CocoSpec) -> None:
        self._spec = spec
        self._remote = Remote(spec.mirror or spec.base, mirror=spec.mirror is not None)

    def annotations(self) -> dict[Split, Annotations]:
        """COCO's own splits or Karpathy's, as chosen.

        Raises:
            CapflowError: a file cannot be had or is not what it should be.
        """
        if self._spec.split == "official":
            splits = {split: self._official(split) for split in SPLITS}
        else:
            path = self._karpathy_file()
            known = [self._official("train"), self._official("val")]
            splits = karpathy.resplit(known, karpathy.read(path), path)
        return {split: self._spec.choose(part) for split, part in splits.items()}

    def pack(self, split: Split, annotations: Annotations, target: Path) -> list[Missing]:
        """The official archive as it is for a whole split, else one packed from single pictures.

        Raises:
            CapflowError: the official archive cannot be had or is not what it should be.
        """
        names = [image["file_name"] for image in annotations.images]
        official = self._spec.splits[split]
        if self._spec.split == "official" and len(names) == official.images:
            whole = self._remote.get(official.zip)
            if whole is not None:
                archives.link_or_copy(whole, target)
                return archives.absent_from(whole, names)
        return self._pack_singly(split, annotations.images, target)

    def _pack_singly(self, split: Split, images: list[ImageRecord], target: Path) -> list[Missing]:
        places = {image["file_name"]: _place(image) for image in images}
        requests = [
            Request(f"{self._remote.base}/{quote(place)}", self._remote.store / place, _fault)
            for place in places.values()
        ]
        reasons = {failure.request.target.name: failure.reason for failure in fetch(requests, split)}
        missing = archives.pack(target, names=places, read=lambda name: self._read(places[name]))
        return [Missing(name, reasons.get(name, reason)) for name, reason in missing]

    def _read(self, place: str) -> bytes:
        return (self._remote.store / place).read_bytes()

    def _official(self, split: Split) -> Annotations:
        file, folder = self._spec.splits[split].annotations, self._spec.splits[split].folder
        found = self._find(file)
        if found is None and split == "test":
            logger.warning("%s/%s: not there; the test split is empty", self._remote.base, file.path)
            return Annotations([], [])
        if found is None:
            raise CapflowError(
                f"{self._remote.base}: has no {file.path}, neither in an archive nor alone; "
                "correct `mirror` or `base` of the data set."
            )
        content, origin = found
        part = coco_json.parse(parse_json(content, origin), origin)
        for image in part.images:
            image.setdefault("coco_url", f"{self._spec.base}/{folder}/{image['file_name']}")
        return part

    def _find(self, file: RemoteFile) -> tuple[bytes, str] | None:
        """The content of a JSON file and what to call it: from the first archive that holds it, or alone."""
        for archive in self._spec.archives:
            path = self._remote.get(archive)
            content = path and archives.read_member(path, file.path)
            if content:
                return content, f"{path}/{file.path}"
        path = self._remote.get(file)
        return (path.read_bytes(), str(path)) if path else None

    def _karpathy_file(self) -> Path:
        named = self._spec.karpathy or ""
        if "://" not in named:
            return project.root() / named
        base, _, name = named.rpartition("/")
        path = Remote(base, mirror=True).get(RemoteFile(path=name))
        if path is None:
            raise CapflowError(f"{named}: the server has no such file; correct `karpathy` of the data set.")
        return path


def _place(image: ImageRecord) -> str:
    """Where a picture is below the base address: the last folder of its ``coco_url``, and its name."""
    folder = PurePosixPath(urlsplit(image["coco_url"]).path).parent.name
    if not folder.isidentifier():
        raise CapflowError(
            f"picture {image['id']}: `coco_url` {image['coco_url']!r} names no folder of COCO; "
            "correct the annotations."
        )
    return f"{folder}/{image['file_name']}"


def _fault(path: Path) -> str | None:
    return picture_fault(path.read_bytes())
