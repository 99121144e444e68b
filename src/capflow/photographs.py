"""Captions of decoded pictures, whatever they come from: the command line and the served model."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from capflow.data.pictures import Pixels
from capflow.data.resize import resize
from capflow.models.captioner import Captioner, load_captioner
from capflow.models.captioning import search_of
from capflow.models.devices import best_device
from capflow.models.gaze import Gaze, gaze
from capflow.models.generate import generate
from capflow.params import GenerateParams
from capflow.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class PhotoCaptioner:
    """A model with its vocabulary, ready for pictures."""

    model: Captioner
    vocabulary: Vocabulary

    @classmethod
    def load(cls, folder: Path) -> "PhotoCaptioner":
        """Read a model folder.

        Raises:
            CapflowError: it is missing, damaged or incomplete.
        """
        return cls(*load_captioner(folder, best_device()))

    def __call__(self, pictures: Sequence[Pixels], params: GenerateParams) -> list[tuple[str, float]]:
        """The caption of each picture, and its log p.

        Args:
            pictures: uint8 RGB [height, width, 3], of any size.
            params: how to search, and how many pictures at a time.
        """
        results: list[tuple[str, float]] = []
        for start in range(0, len(pictures), params.batch_size):
            features = self._features(pictures[start : start + params.batch_size])
            tokens, scores = generate(self.model.decoder, features, search_of(params))
            results += zip(map(self.vocabulary.decode, tokens.tolist()), scores.tolist(), strict=True)
        return results

    def gaze(self, picture: Pixels, params: GenerateParams) -> Gaze:
        """The words of a picture's caption, and where the model looks as it says each.

        Raises:
            CapflowError: it does not choose where to look.
        """
        [(caption, _)] = self([picture], params)
        [seen] = gaze(self.model, self._features([picture]), [caption], self.vocabulary)
        return seen

    @torch.inference_mode()
    def _features(self, pictures: Sequence[Pixels]) -> Tensor:
        """What the decoder sees of them, float [P, cells, channels]."""
        tensors, device = self.model.config.tensors, next(self.model.parameters()).device
        pixels = torch.stack([resize(picture, tensors.size, tensors.fit) for picture in pictures])
        return self.model.encode(pixels.to(device))
