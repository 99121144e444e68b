"""Captions of decoded pictures, whatever they come from: the command line and the served model."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from capflow.data.pictures import Pixels
from capflow.data.resize import resize
from capflow.models.captioner import Captioner
from capflow.models.captioning import Caption, Writer
from capflow.models.devices import best_device
from capflow.models.ensemble import Ensemble, load_models
from capflow.models.gaze import Gaze, gaze
from capflow.params import GenerateParams
from capflow.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class PhotoCaptioner:
    """A model, or several of one vocabulary that speak together, ready for pictures."""

    models: Sequence[Captioner]
    vocabulary: Vocabulary

    @classmethod
    def load(cls, *folders: Path) -> "PhotoCaptioner":
        """Read model folders, one or more.

        Raises:
            CapflowError: one is missing, damaged or incomplete, or of another vocabulary than the first.
        """
        return cls(*load_models(folders, best_device()))

    def writer(self, params: GenerateParams) -> Writer[Sequence[Tensor]]:
        """What writes the captions of any number of calls of :meth:`best`, as the parameters ask."""
        return Writer(Ensemble(model.decoder for model in self.models), self.vocabulary, params)

    def __call__(self, pictures: Sequence[Pixels], params: GenerateParams) -> list[Caption]:
        """The caption of each picture, and its log p.

        Args:
            pictures: uint8 RGB [height, width, 3], of any size.
            params: how to search, and how many pictures at a time.
        """
        return [best for best, *_ in self.best(pictures, self.writer(params), 1)]

    def gaze(self, picture: Pixels, params: GenerateParams) -> Gaze:
        """The words of a picture's caption, and where the first model looks as it says each.

        Raises:
            CapflowError: it does not choose where to look.
        """
        [(caption, _)] = self([picture], params)
        features = _see(self.models[0], self.shrink(picture)[:1])
        [seen] = gaze(self.models[0], features, [caption], self.vocabulary)
        return seen

    def best(
        self, pictures: Sequence[Pixels], write: Writer[Sequence[Tensor]], count: int
    ) -> list[list[Caption]]:
        """At most ``count`` different captions of each picture, from best to worst.

        There are no more than the beam is wide, unless captions are drawn at random.
        """
        written: list[list[Caption]] = []
        for start in range(0, len(pictures), write.params.batch_size):
            chosen = pictures[start : start + write.params.batch_size]
            written += self.said([self.shrink(picture) for picture in chosen], write, count)
        return written

    def shrink(self, picture: Pixels) -> list[Tensor]:
        """A picture as each model is shown it, uint8 [size, size, 3]."""
        wanted = [model.config.tensors for model in self.models]
        return [resize(picture, tensors.size, tensors.fit) for tensors in wanted]

    def said(
        self, shrunk: Sequence[Sequence[Tensor]], write: Writer[Sequence[Tensor]], count: int
    ) -> list[list[Caption]]:
        """As :meth:`best`, of pictures that :meth:`shrink` has made small, all in one batch."""
        shown = zip(*shrunk, strict=True)
        return write([_see(model, pixels) for model, pixels in zip(self.models, shown, strict=True)], count)


@torch.inference_mode()
def _see(model: Captioner, pixels: Sequence[Tensor]) -> Tensor:
    """What a model sees of pictures, float [N, cells, channels]."""
    return model.encode(torch.stack(list(pixels)).to(next(model.parameters()).device))
