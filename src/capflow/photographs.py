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
        [seen] = gaze(self.models[0], _see(self.models[0], [picture]), [caption], self.vocabulary)
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
            written += write([_see(model, chosen) for model in self.models], count)
        return written


@torch.inference_mode()
def _see(model: Captioner, pictures: Sequence[Pixels]) -> Tensor:
    """What a model sees of pictures, float [N, cells, channels]."""
    tensors = model.config.tensors
    pixels = torch.stack([resize(picture, tensors.size, tensors.fit) for picture in pictures])
    return model.encode(pixels.to(next(model.parameters()).device))
