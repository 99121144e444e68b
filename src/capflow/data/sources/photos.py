"""What all sources of photographs share: the keys of their dataset.yaml and tables of captions."""

import csv
import io
import reprlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from capflow.data.annotations import Annotations, is_file_name
from capflow.errors import CapflowError
from capflow.files import read_regular
from capflow.params import Count
from capflow.sections import Section
from capflow.text.clean import shows_nothing


class PhotoSpec(Section):
    """How much of a data set is used.

    ``max_images`` keeps the pictures with the lowest ids of each split.
    """

    captions: Literal["all", "first"]
    max_images: Count | None

    def choose(self, split: Annotations) -> Annotations:
        """The pictures and captions of one split that are wanted."""
        some = split if self.max_images is None else split.first(self.max_images)
        return some if self.captions == "all" else some.one_caption_each()


class Row(NamedTuple):
    """One line of a table of captions; ``place`` names it in errors, an absent ``split`` is empty."""

    image: str
    caption: str
    split: str
    place: str


def read_table(path: Path) -> list[Row]:
    """Read a CSV with the header ``image,caption`` or ``image,caption,split``.

    A caption in the last column may hold commas without quotes.

    Raises:
        CapflowError: no such file, another header, or a line that is not a row of the table.
    """
    try:
        return list(_rows(path, io.StringIO(read_regular(path).decode("utf-8-sig"), newline="")))
    except FileNotFoundError:
        raise CapflowError(f"{path}: there is no such file; it should hold the captions.") from None
    except OSError as error:
        raise CapflowError(f"{path}: cannot be read ({error.strerror}); it should be a table.") from None
    except (csv.Error, UnicodeDecodeError) as error:
        raise CapflowError(f"{path}: not a CSV in UTF-8 ({error}); save it as one.") from None


def _rows(path: Path, stream: Iterator[str]) -> Iterator[Row]:
    reader = csv.reader(stream, strict=True)
    header = [name.strip() for name in next(reader, [])]
    if header not in (["image", "caption"], ["image", "caption", "split"]):
        raise CapflowError(
            f"{path}: the first line is {reprlib.repr(header)}; "
            "it should be image,caption or image,caption,split."
        )
    for cells in reader:
        place = f"{path}:{reader.line_num}"
        if not cells:
            continue
        if len(header) == 2:
            cells[1:] = [",".join(cells[1:])]
        if len(cells) != len(header) or not cells[0].strip():
            raise CapflowError(
                f"{place}: {reprlib.repr(cells)} is not a row of {','.join(header)}; correct the line."
            )
        yield checked(Row(cells[0].strip(), cells[1], cells[2].strip() if len(header) == 3 else "", place))


def checked(row: Row) -> Row:
    """The row itself, if it names a picture and holds a caption.

    Raises:
        CapflowError: the picture is no path below a folder, or the caption is blank.
    """
    if not all(map(is_file_name, row.image.removeprefix("./").split("/"))):
        raise CapflowError(
            f"{row.place}: {reprlib.repr(row.image)} is no path below the folder of the pictures; "
            "correct the line."
        )
    if shows_nothing(row.caption):
        raise CapflowError(f"{row.place}: the caption of {row.image} is empty; write one or remove the line.")
    return row
