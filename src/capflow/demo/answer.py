"""What the page tells of a picture, as HTML."""

import re
from functools import lru_cache
from pathlib import Path

from PIL import Image

from capflow.data.pictures import Pixels, decode
from capflow.errors import CapflowError
from capflow.evaluation.gallery import jpeg
from capflow.evaluation.overlays import View, fogged
from capflow.evaluation.page.markup import picture, plain
from capflow.models.captioning import Caption
from capflow.models.gaze import view
from capflow.params import GenerateParams
from capflow.photographs import PhotoCaptioner

BEST = 5
"""So many captions are shown, at most."""

# In pixels: the longer side of the picture, and the side of those that are shown word by word.
_SIDE, _WORD_SIDE = 560, 224


def answer(folder: Path, content: bytes, name: str, search: GenerateParams) -> tuple[str, str]:
    """Caption a picture.

    Args:
        folder: of the model.
        content: the picture's file as it is.
        name: what to call the picture in an error.
        search: how captions are searched for.

    Returns:
        The caption, and markup of all that there is to see.

    Raises:
        CapflowError: the picture or the model cannot be read.
    """
    pixels = decode(content, name)
    captioner = _load(folder, (folder / "model.safetensors").stat().st_mtime_ns)
    [captions] = captioner.best([pixels], captioner.writer(search), BEST)
    best = _said(captions[0].text)
    return best, _captions(pixels, captions) + _looked(captioner, pixels, search)


@lru_cache(maxsize=2)
def _load(folder: Path, _written: int) -> PhotoCaptioner:
    """A model, read once for as long as its file is the same."""
    return PhotoCaptioner.load(folder)


def coded(text: str) -> str:
    """A sentence as HTML, with what stands between backticks marked as code."""
    return re.sub("`(.+?)`", r"<code>\1</code>", plain(text))


def _captions(pixels: Pixels, captions: list[Caption]) -> str:
    """The picture, its caption, and the next best ones, with their log p."""
    shown = Image.fromarray(pixels)
    shown.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    best = plain(_said(captions[0].text))
    rows = "".join(f"<li>{_with_log_p(one)}</li>" for one in captions[1:])
    more = f'<h2>The next best</h2><ol start="2">{rows}</ol>' if rows else ""
    return (
        f'<section class="told">{picture(jpeg(shown), best)}<div>'
        f'<h2>Caption</h2><p class="caption">{_with_log_p(captions[0])}</p>{more}</div></section>'
    )


def _with_log_p(caption: Caption) -> str:
    said = plain(_said(caption.text))
    return f'<span dir="auto">{said}</span> <small>log p {caption.log_p:.2f}</small>'


def _looked(captioner: PhotoCaptioner, pixels: Pixels, search: GenerateParams) -> str:
    """The picture once more for each word, clear where the model looked; or why there is nothing to see."""
    head = "<section><h2>Where the model looked</h2>"
    try:
        words, maps = captioner.gaze(pixels, search)
    except CapflowError as error:
        return f'{head}<p class="blind">There is nothing to show here: {coded(str(error))}</p></section>'
    seen = View(**view(captioner.models[0]))(pixels, _WORD_SIDE)
    told = zip(map(plain, words), maps, strict=True)
    figures = "".join(_word(word, jpeg(fogged(seen, weights))) for word, weights in told)
    hint = "The picture once more for each word: clear where the model looked, in fog where it did not."
    return f'{head}<p>{hint}</p><ol class="words">{figures}</ol></section>'


def _word(word: str, shown: bytes) -> str:
    """A word below the picture that shows where the model looked; the word is markup."""
    image = picture(shown, f"Where the model looked as it said {word}")
    return f'<li><figure>{image}<figcaption dir="auto">{word}</figcaption></figure></li>'


def _said(caption: str) -> str:
    return caption or "(no words)"
