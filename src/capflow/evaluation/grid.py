"""A grid of pictures with their captions below, as one PNG to look at."""

import io
import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
from PIL import Image, ImageDraw, ImageFont, ImageOps

from capflow.data.pictures import Pixels

_CHARACTERS = 32
# In pixels: the longer side of a picture, the room between cells, lines and captions, the font's size.
_SIDE = 320
_GAP = 28
_LINE = 23
_BETWEEN = 8
_FONT = 18


class _Cell(NamedTuple):
    picture: Image.Image
    captions: list[list[str]]

    @property
    def lines(self) -> list[str]:
        return [line for caption in self.captions for line in caption]

    @property
    def text_height(self) -> int:
        return len(self.captions) * _BETWEEN + len(self.lines) * _LINE


def draw_grid(pictures: Sequence[tuple[Pixels, Sequence[str]]], columns: int) -> bytes:
    """Draw pictures in rows, each with its captions below, wrapped at 32 characters.

    A row is as high as its tallest picture and its longest captions need, and the columns are as wide as the
    widest line of all, so nothing overlaps whatever the captions are.

    Args:
        pictures: uint8 RGB [height, width, 3] and the captions of each; any size, scaled to 320 pixels.
        columns: pictures in a row.

    Returns:
        A PNG, the same bytes for the same pictures.
    """
    font = _font()
    cells = [_Cell(_scaled(pixels), list(map(_wrapped, captions))) for pixels, captions in pictures]
    rows = [cells[start : start + columns] for start in range(0, len(cells), columns)]
    heights = [_picture_height(row) + max(cell.text_height for cell in row) + _GAP for row in rows]
    pitch = _GAP + max([_SIDE, *(math.ceil(font.getlength(line)) for cell in cells for line in cell.lines)])
    size = (_GAP + pitch * min(columns, len(cells)), _GAP + sum(heights))
    sheet = Image.new("RGB", size, "white")
    top = _GAP
    for row, height in zip(rows, heights, strict=True):
        foot = top + _picture_height(row)
        for column, cell in enumerate(row):
            _draw(cell, sheet, (_GAP + column * pitch, foot), font)
        top += height
    stream = io.BytesIO()
    sheet.save(stream, "PNG")
    return stream.getvalue()


def _font() -> ImageFont.FreeTypeFont:
    """DejaVu Sans as matplotlib brings it: it has the letters of more languages than Pillow's own font."""
    path = Path(mpl.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
    # The other layout engine is not in every Pillow, and it would change the bytes.
    return ImageFont.truetype(path, _FONT, layout_engine=ImageFont.Layout.BASIC)


def _scaled(pixels: Pixels) -> Image.Image:
    return ImageOps.contain(Image.fromarray(pixels), (_SIDE, _SIDE), Image.Resampling.LANCZOS)


def _wrapped(caption: str) -> list[str]:
    """Lines of at most 32 characters; any separator, U+2028 too, counts as a space."""
    return textwrap.wrap(" ".join(caption.split()), _CHARACTERS)


def _picture_height(row: Sequence[_Cell]) -> int:
    return max(cell.picture.height for cell in row)


def _draw(cell: _Cell, sheet: Image.Image, corner: tuple[int, int], font: ImageFont.FreeTypeFont) -> None:
    """Put the lower left corner of the picture at ``corner`` and the captions right below."""
    left, y = corner
    sheet.paste(cell.picture, (left, y - cell.picture.height))
    pen = ImageDraw.Draw(sheet)
    for caption in cell.captions:
        y += _BETWEEN
        for line in caption:
            pen.text((left, y), line, fill="black", font=font)
            y += _LINE
