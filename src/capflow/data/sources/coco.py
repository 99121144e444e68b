"""COCO captions, from COCO's bucket or from a mirror of it.

X. Chen et al., "Microsoft COCO Captions: Data Collection and Evaluation Server" (arXiv:1504.00325).
"""

import hashlib
import logging
import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal
from urllib.parse import quote, urlsplit

from pydantic import Field

from capflow import project
from capflow.data import annotations as coco_json
from capflow.data import archives
from capflow.data.addresses import foreign_fault
from capflow.data.annotations import Annotations, ImageRecord
from capflow.data.headers import arrival_fault
from capflow.data.request import Request
from capflow.data.sources import Missing, karpathy, singly
from capflow.data.sources.photos import PhotoSpec
from capflow.data.sources.remote import Address, Host, PlainPath, Remote, RemoteFile
from capflow.errors import CapflowError
from capflow.files import parse_json
from capflow.params import SPLITS, Count, Split
from capflow.sections import Section

logger = logging.getLogger(__name__)


# An address has to end in the plain name of a file, which it gets in the store.
PathOrAddress = Annotated[str, Field(pattern=r"^([^:]+|https?://[^\s?#]+/\w[\w.-]*)$")]
# The key of `info` in which annotations give, for each folder of pictures, the SHA-256 of the file that
# names these. A picture that came with another one is asked for again, because a mirror may have become
# another data set. By folder, so that a picture has the same edition in every split it is dealt to.
_EDITIONS = "editions"


class CocoSplit(Section):
    """One of COCO's own splits: its JSON, the folder of its pictures, and all of them as a ZIP."""

    images: Count
    annotations: RemoteFile
    folder: PlainPath
    zip: RemoteFile


class Mirror(Section):
    """Another server with Karpathy's split, in one file or several; it may redirect to ``hosts``."""

    base: Address
    files: Annotated[tuple[RemoteFile, ...], Field(min_length=1)]
    hosts: tuple[Host, ...] = ()


class CocoSpec(PhotoSpec):
    """dataset.yaml of COCO 2014 and 2017: where COCO is, and which part of it is used."""

    kind: Literal["coco"]
    split: Literal["official", "karpathy"]
    karpathy: PathOrAddress | None
    karpathy_mirrors: tuple[Mirror, ...]
    base: Address
    mirror: Address | None
    hosts: tuple[Host, ...]
    archives: tuple[RemoteFile, ...]
    splits: Annotated[dict[Split, CocoSplit], Field(min_length=len(SPLITS))]


class CocoSource:
    """COCO's training and validation splits with captions, and its test split without."""

    def __init__(self, spec: CocoSpec, home: Path) -> None:
        self._spec, self._home = spec, home
        self._remote = Remote(spec.mirror or spec.base, mirror=spec.mirror is not None, hosts=spec.hosts)

    def annotations(self) -> dict[Split, Annotations]:
        """COCO's own splits or Karpathy's, as chosen.

        Raises:
            CapflowError: a file cannot be had or is not what it should be.
        """
        if self._spec.split == "official":
            splits = {split: self._official(split) for split in SPLITS}
        else:
            paths = self._karpathy_files()
            known = [self._official("train"), self._official("val")]
            splits = karpathy.resplit(known, karpathy.read(paths), paths[0])
            editions = {**known[0].info[_EDITIONS], **known[1].info[_EDITIONS]}
            for part in splits.values():
                part.info[_EDITIONS] = editions
        return {split: self._spec.choose(part) for split, part in splits.items()}

    def pack(self, split: Split, annotations: Annotations, target: Path) -> list[Missing]:
        """Pack the pictures of one split.

        A whole split comes from the official archives, as it is where there is one for it; a part of
        a split from single pictures.

        Raises:
            CapflowError: the official archive cannot be had or is not what it should be.
        """
        names = [image["file_name"] for image in annotations.images]
        found = [path for file in self._archives_of(split, len(names)) if (path := self._remote.get(file))]
        if self._spec.split == "official" and found:
            archives.link_or_copy(found[0], target)
            return archives.absent_from(found[0], names)
        if len(found) == 2:
            with archives.pictures_in(found[0]) as train, archives.pictures_in(found[1]) as val:
                held = {**train, **val}
                return archives.pack(target, names, lambda name: held[name]())
        return self._pack_singly(split, annotations, target)

    def _archives_of(self, split: Split, pictures: int) -> tuple[RemoteFile, ...]:
        """The official archives that hold a whole split; none for a part of it."""
        official = self._spec.splits
        if self._spec.split == "official":
            return (official[split].zip,) if pictures == official[split].images else ()
        return (official["train"].zip, official["val"].zip) if pictures == karpathy.COUNTS[split] else ()

    def _pack_singly(self, split: Split, annotations: Annotations, target: Path) -> list[Missing]:
        editions = annotations.info.get(_EDITIONS, {})
        requests = {image["file_name"]: self._request(image, editions) for image in annotations.images}
        return singly.pack(target, requests, split)

    def _request(self, image: ImageRecord, editions: Mapping[str, str]) -> Request:
        place = self._place(image)
        return Request(
            f"{self._remote.base}/{quote(place)}",
            self._remote.store / place,
            arrival_fault,
            cap=singly.CAP,
            edition=editions.get(place.partition("/")[0], ""),
            hosts=self._remote.hosts,
        )

    def _official(self, split: Split) -> Annotations:
        file = self._spec.splits[split].annotations
        found = self._find(file)
        if found is None and split == "test" and self._spec.mirror:
            logger.warning("%s/%s: not there; the test split is empty", self._remote.base, file.path)
            return Annotations([], [])
        if found is None:
            raise CapflowError(
                f"{self._remote.base}: has no {file.path}, neither in an archive nor alone; "
                "correct `mirror` or `base` of the data set."
            )
        return self._described(split, *found)

    def _described(self, split: Split, content: bytes, origin: str) -> Annotations:
        """A split from its JSON, with the folder and the edition of its pictures."""
        folder = self._spec.splits[split].folder
        part = coco_json.parse(parse_json(content, origin), origin)
        known = self._spec.splits[split].images
        if not self._spec.mirror and len(part.images) != known:
            raise CapflowError(
                f"{origin}: has {len(part.images):,} pictures instead of {known:,}; "
                "correct `base` or `splits` of the data set, or name the server as a `mirror`."
            )
        part.info[_EDITIONS] = {folder: hashlib.sha256(content).hexdigest()}
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

    def _karpathy_files(self) -> list[Path]:
        """Karpathy's split: the file that is named, else one beside dataset.yaml, else from a mirror.

        Raises:
            CapflowError: none of them is there.
        """
        named, local = self._spec.karpathy, project.root() / self._home / karpathy.FILE
        if named and "://" not in named:
            return [self._own_file(named)]
        if not named and local.exists():
            return [local]
        mirrors = self._spec.karpathy_mirrors
        if named:
            base, _, name = named.rpartition("/")
            mirrors = (Mirror(base=base, files=(RemoteFile(path=name),), hosts=self._spec.hosts),)
        tried = []
        for mirror in mirrors:
            try:
                return _from_mirror(mirror)
            except CapflowError as error:
                tried.append(str(error))
                logger.warning("Karpathy's split: %s", error)
        raise CapflowError(
            f"{local}: Karpathy's split is neither there nor to be had ({' '.join(tried)}); "
            f"put {karpathy.FILE} there, or name one with `karpathy` of the data set."
        )

    def _own_file(self, named: str) -> Path:
        """A file below the data set's folder: a change of one elsewhere would not be noticed."""
        path = Path(os.path.normpath(project.root() / named))
        if not path.is_relative_to(project.root() / self._home):
            raise CapflowError(
                f"{path}: `karpathy` of the data set names a file that is not below {self._home}; "
                "move it there, so that a change of it is noticed."
            )
        if not path.is_file():
            raise CapflowError(f"{path}: there is no such file; correct `karpathy` of the data set.")
        return path

    def _place(self, image: ImageRecord) -> str:
        """Where a picture is below the base address: the last folder of its ``coco_url``, and its name.

        Nothing else of ``coco_url`` is used, and one that leads into a private network is refused.
        """
        url = image["coco_url"]
        fault = foreign_fault(url, self._remote.base)
        folder = "" if fault else PurePosixPath(urlsplit(url).path).parent.name
        if folder not in {split.folder for split in self._spec.splits.values()}:
            fault = fault or f"{url} is in no folder of COCO"
            raise CapflowError(f"picture {image['id']}: `coco_url`: {fault}; correct the annotations.")
        return f"{folder}/{image['file_name']}"


def _from_mirror(mirror: Mirror) -> list[Path]:
    remote = Remote(mirror.base, mirror=True, hosts=mirror.hosts)
    paths = [remote.get(file) for file in mirror.files]
    found = [path for path in paths if path is not None]
    if len(found) < len(mirror.files):
        absent = next(file.path for file, path in zip(mirror.files, paths, strict=True) if path is None)
        raise CapflowError(f"{mirror.base}: the server has no {absent}.")
    return found
