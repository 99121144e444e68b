"""Encoded captions: flat arrays that training maps into memory, whatever the number of captions."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from capflow.data.annotations import CaptionRecord
from capflow.errors import CapflowError
from capflow.files import replacing
from capflow.text.vocabulary import PAD, UNK, Vocabulary


@dataclass(frozen=True)
class EncodedCaptions:
    """The captions of one split.

    Attributes:
        tokens: int32 [total], all captions one after another, each with start and end token.
        offsets: int64 [N + 1], where each caption begins; the last is the total.
        images: int64 [N], the image id of each caption.
    """

    tokens: NDArray[np.int32]
    offsets: NDArray[np.int64]
    images: NDArray[np.int64]

    @classmethod
    def encode(cls, annotations: Iterable[CaptionRecord], vocabulary: Vocabulary) -> "EncodedCaptions":
        """Encode captions in their order."""
        captions, images = [], []
        for annotation in annotations:
            captions.append(vocabulary.encode(annotation["caption"]))
            images.append(annotation["image_id"])
        ends = np.cumsum([len(caption) for caption in captions], dtype=np.int64)
        tokens = np.array([token for caption in captions for token in caption], np.int32)
        return cls(tokens, np.concatenate([np.zeros(1, np.int64), ends]), np.array(images, np.int64))

    @property
    def lengths(self) -> NDArray[np.int64]:
        """The number of tokens of each caption, start and end included, int64 [N]."""
        return np.diff(self.offsets)

    def unknown_share(self) -> float:
        """The share of words that the vocabulary does not know; 0 where there are no words."""
        words = len(self.tokens) - 2 * len(self.images)
        return float((self.tokens == UNK).sum() / words) if words else 0.0

    def padded(self, chosen: NDArray[np.int64]) -> Tensor:
        """Some captions side by side, int64 [B, T], padded at their ends."""
        starts, lengths = self.offsets[chosen], self.lengths[chosen]
        columns = np.arange(lengths.max())
        places = np.minimum(starts[:, None] + columns, len(self.tokens) - 1)
        rows = np.where(columns < lengths[:, None], self.tokens[places], PAD)
        return torch.from_numpy(rows.astype(np.int64))

    def save(self, folder: Path) -> None:
        """Write one .npy file for each array."""
        for name in ("tokens", "offsets", "images"):
            with replacing(folder / f"{name}.npy") as temporary, temporary.open("wb") as stream:
                np.save(stream, getattr(self, name), allow_pickle=False)

    @classmethod
    def load(cls, folder: Path) -> "EncodedCaptions":
        """Map what :meth:`save` wrote.

        Raises:
            CapflowError: a file is missing, damaged, or does not go with the others.
        """
        try:
            tokens, offsets, images = (
                np.load(folder / f"{name}.npy", allow_pickle=False)
                for name in ("tokens", "offsets", "images")
            )
        except (OSError, ValueError, EOFError) as error:
            raise CapflowError(f"{folder}: cannot be read ({error}); run `dvc repro` to make it.") from None
        captions = cls(tokens, offsets, images)
        types = (tokens.dtype, offsets.dtype, images.dtype)
        whole = (
            types == (np.int32, np.int64, np.int64)
            and offsets.shape == (len(images) + 1,)
            and offsets[0] == 0
            and offsets[-1] == len(tokens)
            and bool((captions.lengths >= 2).all())
        )
        if not whole:
            raise CapflowError(f"{folder}: the arrays do not belong together; run `dvc repro` to make them.")
        return captions
