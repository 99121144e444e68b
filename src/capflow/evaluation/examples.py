"""Pictures with what is said of them and their scores, ready for a page."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from capflow.bars import bar
from capflow.data.ahead import in_order
from capflow.data.annotations import Annotations, ImageRecord
from capflow.data.archives import pictures_in
from capflow.data.scenes.truth import judge
from capflow.data.scenes.world import scene_of
from capflow.errors import CapflowError
from capflow.evaluation.gallery import Example, sample, thumbnail, tile

# More than these would make a page that browsers are slow to open.
MOST = 5_000


@dataclass(frozen=True)
class Album:
    """The pictures of a split, what is known of them, and their files."""

    pictures: Mapping[str, Callable[[], bytes]]
    records: Mapping[int, ImageRecord]
    references: Mapping[int, Sequence[str]]
    captions: Mapping[int, str]
    scores: Mapping[int, Mapping[str, float]]

    def example(self, image: int, small: Callable[[bytes, str], bytes] = thumbnail) -> Example:
        """One picture; without a thumbnail where it is missing or cannot be read."""
        record = self.records[image]
        name = record["file_name"]
        try:
            made = small(self.pictures[name](), name)
        except (KeyError, CapflowError):
            made = None
        return Example(
            image,
            name,
            made,
            self.captions[image],
            self.references.get(image, ()),
            self.scores.get(image, {}),
            verdict(record, self.captions[image]),
        )

    def tiles(self, images: Sequence[int], seed: int) -> list[Example]:
        """Many pictures by their ids, with small thumbnails; of more than 5,000 some, drawn at random."""
        chosen = sorted(sample(images, MOST, seed)) if len(images) > MOST else images
        made = in_order(lambda image: self.example(image, tile), chosen)
        return list(bar(made, "thumbnails", len(chosen), "picture"))


@contextmanager
def opened(
    archive: Path,
    part: Annotations,
    captions: Mapping[int, str],
    scores: Mapping[int, Mapping[str, float]],
) -> Iterator[Album]:
    """Open the pictures of a split.

    Args:
        archive: its ZIP.
        part: the annotations.
        captions: what is said of each picture, by image id.
        scores: of each picture, by image id and name.

    Raises:
        CapflowError: the archive is missing or damaged.
    """
    records = {image["id"]: image for image in part.images}
    with pictures_in(archive) as pictures:
        yield Album(pictures, records, part.captions_of(), captions, scores)


def verdict(image: ImageRecord, caption: str) -> bool | None:
    """Whether a caption is true, where the picture's facts are known."""
    return judge(caption, scene_of(image)) if "scene" in image else None
