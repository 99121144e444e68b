"""The catalogue: data/sources/<name>/dataset.yaml says what a data set is and where it comes from."""

from typing import Literal

from pydantic import BaseModel

from capflow import project
from capflow.data.sources import Source
from capflow.data.sources.coco import CocoSource, CocoSpec
from capflow.data.sources.flickr8k import Flickr8kSpec, FlickrSource
from capflow.data.sources.flickr30k import FLICKR30K, Flickr30kSpec
from capflow.data.sources.folder import FolderSource, FolderSpec
from capflow.data.sources.scenes import ScenesSource, ScenesSpec
from capflow.errors import CapflowError
from capflow.params import DataParams
from capflow.sections import load_yaml

DatasetSpec = ScenesSpec | CocoSpec | Flickr8kSpec | Flickr30kSpec | FolderSpec
Kind = Literal["scenes", "coco", "flickr8k", "flickr30k", "folder"]

_SPECS: dict[Kind, type[DatasetSpec]] = {
    "scenes": ScenesSpec,
    "coco": CocoSpec,
    "flickr8k": Flickr8kSpec,
    "flickr30k": Flickr30kSpec,
    "folder": FolderSpec,
}


class _Entry(BaseModel):
    """The one key that all entries share. Read first, so that errors speak of the right kind only."""

    kind: Kind


def load_spec(name: str) -> DatasetSpec:
    """Read the catalogue's entry of a data set.

    Raises:
        CapflowError: there is no such data set, or a key of its entry is wrong.
    """
    path = project.SOURCES / name / "dataset.yaml"
    if not path.is_file():
        known = ", ".join(sorted(entry.parent.name for entry in project.SOURCES.glob("*/dataset.yaml")))
        raise CapflowError(f"{path}: there is no data set {name!r}; known are {known or 'none'}.")
    return load_yaml(path, _SPECS[load_yaml(path, _Entry).kind])


def open_source(data: DataParams) -> Source:
    """The source of the chosen data set.

    Raises:
        CapflowError: as :func:`load_spec`.
    """
    spec, root = load_spec(data.name), project.root() / data.root
    match spec:
        case ScenesSpec():
            return ScenesSource(spec)
        case CocoSpec():
            return CocoSource(spec, project.SOURCES / data.name)
        case Flickr8kSpec():
            return FlickrSource(spec, root)
        case Flickr30kSpec():
            return FlickrSource(spec, root, FLICKR30K)
        case FolderSpec():
            return FolderSource(spec, root)
