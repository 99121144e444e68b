"""The model as MLflow loads and serves it: pictures as base64 come in, captions go out.

MLflow stores this file beside the weights and runs it where the model is loaded ("models from code"). No path
and no address is ever opened: what is not the bytes of a picture is refused.
"""

import base64
import binascii
import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.pyfunc.model import PythonModel, PythonModelContext
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from capflow.batching import Together
from capflow.data.headers import PictureError, open_picture
from capflow.data.pictures import decode
from capflow.doorkeeper import Limits, guard_the_next_server
from capflow.errors import CapflowError
from capflow.models.captioning import Caption
from capflow.models.search import read_search
from capflow.params import ELSEWHERE
from capflow.photographs import PhotoCaptioner

PICTURES = 64
"""Of a request, and of a batch."""
PIXELS = 64_000_000
"""Of a picture."""
BEST = 16
"""Captions of a picture."""

# Decoding one of the largest takes some 200 MB: so many are decoded at a time.
_DECODING = threading.BoundedSemaphore(os.cpu_count() or 1)


class Photo(BaseModel):
    """A picture, JPEG, PNG, WebP, GIF, BMP or TIFF, and how many captions of it are wanted."""

    model_config = ConfigDict(extra="forbid")

    image: str
    """The bytes of the file in base64."""
    best: int | None = Field(default=None, ge=1, le=BEST)


class Said(BaseModel):
    """A caption and its log p."""

    caption: str
    log_p: float


class Answer(BaseModel):
    """The best caption of a picture, and, where several were asked for, all of them, from best to worst."""

    caption: str
    log_p: float
    best: list[Said] | None = None


class CaptionModel(PythonModel):
    """Captions pictures; requests that wait at the same time are answered as one batch."""

    def load_context(self, context: PythonModelContext) -> None:
        """Read the model folder, and stand before the server that is about to start, if one is."""
        folder = Path(context.artifacts["model"])
        self._captioner = PhotoCaptioner.load(folder)
        self._search = read_search(folder) or ELSEWHERE
        self._together: Together[list[Tensor], int, list[Caption]] = Together(self._say, PICTURES)
        if "mlflow.pyfunc.scoring_server.app" in sys.modules:  # it loads this, and then makes its server
            guard_the_next_server(Limits())

    def predict(  # type: ignore[override]  # MLflow takes the signature from these types
        self,
        context: PythonModelContext,  # noqa: ARG002
        model_input: list[Photo],
    ) -> list[Answer]:
        """The captions of some pictures.

        Raises:
            MlflowException: which picture is none, or is too large; or there are too many.
        """
        if len(model_input) > PICTURES:
            raise MlflowException.invalid_parameter_value(
                f"a request may have {PICTURES} pictures, not {len(model_input)}."
            )
        small = [self._small(number, photo) for number, photo in enumerate(model_input, 1)]
        wanted = [photo.best or 1 for photo in model_input]
        written: dict[int, list[Caption]] = {}
        for best in set(wanted):
            rows = [row for row, own in enumerate(wanted) if own == best]
            written |= zip(rows, self._together([small[row] for row in rows], best), strict=True)
        return [_answer(written[row], best) for row, best in enumerate(wanted)]

    def _small(self, number: int, photo: Photo) -> list[Tensor]:
        """A picture as the model is shown it."""
        try:
            content = base64.b64decode(photo.image, validate=True)
            with _DECODING:
                _refuse_large(content)
                return self._captioner.shrink(decode(content, f"picture {number}"))
        except binascii.Error:
            reason = "not base64; send the bytes of a file in base64, no path and no address."
        except PictureError as error:
            reason = f"cannot be read as a picture ({error})."
        except CapflowError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from None
        raise MlflowException.invalid_parameter_value(f"picture {number}: {reason}")

    def _say(self, pictures: Sequence[list[Tensor]], best: int) -> list[list[Caption]]:
        """Always by beam search: a caption must not depend on who else asks, as one that is drawn would."""
        groups = self._search.groups
        beam = -(-max(self._search.beam, best) // groups) * groups
        search = self._search.model_copy(update={"method": "beam", "beam": beam})
        return self._captioner.said(pictures, self._captioner.writer(search), best)


def _refuse_large(content: bytes) -> None:
    with open_picture(content) as header:
        if header.width * header.height > PIXELS:
            raise PictureError(f"more than {PIXELS // 1_000_000} megapixels")


def _answer(captions: Sequence[Caption], best: int) -> Answer:
    said = [Said(caption=text, log_p=round(log_p, 4)) for text, log_p in captions[:best]]
    return Answer(caption=said[0].caption, log_p=said[0].log_p, best=said if best > 1 else None)


mlflow.models.set_model(CaptionModel())
