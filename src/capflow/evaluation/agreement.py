"""Of many captions of a picture the one that is most like all of them.

Minimum Bayes risk decoding (Kumar, Byrne: Minimum Bayes-Risk Decoding for Statistical Machine Translation,
NAACL 2004) with CIDEr-D as the gain: captions d_1 .. d_J that are drawn from the model stand for what people
may say, and of captions c_1 .. c_K

    chosen = argmax over k of  1 / J * sum over j of CIDEr-D(c_k; d_j)

Words weigh by how many pictures of the training split have them in a caption.
"""

import numpy as np

from capflow.evaluation.cider import CiderD, Floats
from capflow.evaluation.ngrams import Captions, Ids
from capflow.text.vocabulary import PAD


class Agreement:
    """How much captions of each picture agree with others."""

    def __init__(self, documents: Captions) -> None:
        """Weigh n-grams by the captions of many pictures, whose rows ascend and may have gaps."""
        _, rows = np.unique(documents.images, return_inverse=True)
        self._documents = Captions(documents.words, documents.lengths, rows.astype(np.int64))

    def __call__(self, captions: Ids, voters: Ids) -> Floats:
        """The mean CIDEr-D of each caption against all voters of its picture, float64 [B, K], 0 to 10.

        Args:
            captions: int64 [B, K, T], words and, if there is one, the end token; then padding.
            voters: int64 [B, J, T], the same.
        """
        return CiderD(_said(voters), self._documents)(_said(captions)).reshape(captions.shape[:2])


def _said(captions: Ids) -> Captions:
    return Captions.of(captions, np.repeat(np.arange(len(captions)), captions.shape[1]), PAD)
