"""Of many captions of a picture the one that is most like those that people may say.

Minimum Bayes risk decoding (Kumar, Byrne: Minimum Bayes-Risk Decoding for Statistical Machine Translation,
NAACL 2004) with CIDEr-D as the gain: captions d_1 .. d_J that are drawn from the model stand for what people
may say, and of these and others

    chosen = argmax over c of  mean over j of CIDEr-D(c; d_j)

where none of those drawn has a vote for itself: it would be 10, and others are about 1.
"""

import numpy as np

from capflow.evaluation.cider import CiderD, Floats, rarities
from capflow.evaluation.ngrams import Captions, Ids
from capflow.text.vocabulary import PAD


class Agreement:
    """How much captions of each picture agree with those that were drawn."""

    def __init__(self, documents: Captions) -> None:
        """Weigh n-grams by how rare they are in captions of the images 0, 1, 2 and so on, ascending."""
        self._rare = rarities(documents)

    def __call__(self, captions: Ids, drawn: int) -> Floats:
        """The mean CIDEr-D of each caption against those drawn, but itself, float64 [B, K], 0 to 10.

        Args:
            captions: int64 [B, K, T], words and, if there is one, the end token; then padding.
            drawn: so many of each picture, 2 or more, the last ones, were drawn.
        """
        pictures, count, _ = captions.shape
        said, voters = _of(captions, np.arange(pictures)), captions[:, count - drawn :]
        agreement = CiderD(_of(voters, np.arange(pictures)), self._rare)(said).reshape(pictures, count)
        alone = _of(voters, np.arange(pictures * drawn))
        itself = CiderD(alone, self._rare)(alone).reshape(pictures, drawn)
        agreement[:, count - drawn :] = (drawn * agreement[:, count - drawn :] - itself) / (drawn - 1)
        return agreement


def _of(captions: Ids, images: Ids) -> Captions:
    """Captions, int64 [B, K, T], equally many of each image."""
    rows = captions.reshape(-1, captions.shape[-1])
    return Captions.of(rows, np.repeat(images, len(rows) // len(images)), PAD)
