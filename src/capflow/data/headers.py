"""What the header of a picture says: which kind it is, and whether it may be decoded at all."""

import codecs
import io
import os
import re
import warnings
from pathlib import Path

import simplejpeg
from PIL import Image, UnidentifiedImageError
from PIL.ImageFile import ImageFile

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
"""The kinds that are read. Pillow knows more, but nobody's photographs are such, and some run programs."""

# A progressive JPEG of 20 kB can hold thousands of scans and take minutes. Encoders write up to 200;
# the rest is for previews, and for these two bytes by chance in an ICC profile.
_SCANS = 500
_SCAN = re.compile(b"\xff\xda")  # counts three times as fast as bytes.count
# In so many bytes most pictures have their headers, and JPEGs their ends.
_HEAD, _TAIL = 1 << 14, 1 << 12
# Of what is no picture: how much is looked at, and what it begins with.
_BEGINNING = 512
_READ = (b"\xff\xd8", b"\x89PNG", b"RIFF", b"GIF8", b"BM", b"II*\0", b"MM\0*")
_NOT_READ = {b"%PDF": "it is a PDF", b"PK\3\4": "it is a ZIP archive", b"\x1f\x8b": "it is a gzip archive"}
_TEXTS = {
    "<!doctype html": "it is an HTML page",
    "<html": "it is an HTML page",
    "<svg": "it is an SVG drawing",
    "version https://git-lfs": "it stands for a file in Git LFS, and `git lfs pull` brings that",
}
# Twice Pillow's own bound for a warning: more is an error there, too.
_PIXELS = 2 * (Image.MAX_IMAGE_PIXELS or 0)


class PictureError(Exception):
    """What is wrong with a picture; whoever knows its name makes a sentence of it."""


def open_picture(content: bytes) -> ImageFile:
    """Read the header of a picture, and of its pixels nothing.

    Raises:
        PictureError: none of ``FORMATS``, a damaged header, or one that asks for too much.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            picture = Image.open(io.BytesIO(content), formats=FORMATS)
    except UnidentifiedImageError:
        raise PictureError(_told_by(content[:_BEGINNING])) from None
    except Image.DecompressionBombError:
        raise PictureError("its header claims more than 178 megapixels") from None
    except Exception as error:  # noqa: BLE001 - Pillow raises whatever its parsers stumble over
        raise PictureError(f"its header is damaged: {told(error)}") from None
    if is_jpeg(picture) and len(_SCAN.findall(content)) > _SCANS:
        raise PictureError(f"a JPEG with more than {_SCANS} scans")
    return picture


def _told_by(head: bytes) -> str:
    """What it is that begins so, and that Pillow finds no picture in."""
    if not head:
        return "it is empty"
    if text := _text(head):
        return text
    if head.startswith(_READ):
        return "its header is damaged"
    if head[4:8] == b"ftyp":
        return "it is HEIC, AVIF or a film, none of which is read"
    known = (told for begins, told in _NOT_READ.items() if head.startswith(begins))
    return next(known, f"it begins with the bytes {head[:4].hex(' ')}, as no picture does")


def _text(head: bytes) -> str:
    """Which kind of text it is that begins so; empty, if it is none."""
    try:
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(head)  # its end may be half a character
    except UnicodeDecodeError:
        return ""
    if not all(sign.isprintable() or sign.isspace() for sign in text):
        return ""
    kinds = (told for mark, told in _TEXTS.items() if mark in text.lower())
    return next(kinds, "it is text")


def is_jpeg(picture: Image.Image) -> bool:
    """Whether it is a JPEG, alone or with others behind it as phones write them (MPO)."""
    return picture.format in {"JPEG", "MPO"}


def picture_fault(content: bytes) -> str | None:
    """Why ``content`` cannot be a picture, judged by its header; None when it can be one."""
    try:
        open_picture(content).close()
    except PictureError as error:
        return str(error)
    return None


def cut_fault(content: bytes) -> str | None:
    """Whether a JPEG ends before its time: no end of image (FF D9) after the start of its last scan (FF DA).

    That is judged without decoding. It finds transfers that were cut and declared whole.
    """
    if content.startswith(b"\xff\xd8") and content.rfind(b"\xff\xd9") <= content.rfind(b"\xff\xda"):
        return "a JPEG without its end"
    return None


def arrival_fault(path: Path) -> str | None:
    """Why a file that has come cannot be a whole picture, judged by its header and, of a JPEG, its end.

    No more of it is read, as a rule, because a thousand pictures a second may come. Whoever uses the
    picture decodes it.
    """
    with path.open("rb", buffering=0) as stream:
        head = stream.read(_HEAD)
        if _begins(head):
            stream.seek(-min(_TAIL, os.fstat(stream.fileno()).st_size), os.SEEK_END)
            tail = stream.read()
            if tail.rfind(b"\xff\xd9") > tail.rfind(b"\xff\xda"):
                return None
    # No JPEG, a header that is longer, an end with something behind it, or indeed a fault.
    content = path.read_bytes()
    return picture_fault(content) or cut_fault(content)


def _begins(head: bytes) -> bool:
    """Whether it is the header of a JPEG within bounds; twenty times as fast as Pillow says it."""
    try:
        height, width, *_ = simplejpeg.decode_jpeg_header(head)
    except ValueError:
        return False
    return bool(height * width <= _PIXELS)


def told(error: Exception) -> str:
    """What a library's exception says, on one line."""
    return " ".join(str(error).split()) or type(error).__name__
