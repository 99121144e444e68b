"""Of many captions of a picture the one that is most like all of them, and like those of similar pictures.

Minimum Bayes risk decoding (Kumar, Byrne: Minimum Bayes-Risk Decoding for Statistical Machine Translation,
NAACL 2004) with CIDEr-D as the gain: the model's own captions c_1 .. c_K stand for what people may say, and

    chosen = argmax over k of  1 / K * sum over j of CIDEr-D(c_k; c_j)

Where captions of similar training pictures are known, r_1 .. r_M, they stand for it as well (Devlin, Gupta,
Girshick, Mitchell, Zitnick: Exploring Nearest Neighbor Approaches for Image Captioning, 2015, choose one of
them in this way), and w / M * sum over m of CIDEr-D(c_k; r_m) is added.

Words weigh by how many pictures of the training split have them in a caption.
"""

import numpy as np

from capflow.evaluation.cider import CiderD, Floats
from capflow.evaluation.ngrams import Captions, Ids
from capflow.text.vocabulary import PAD


class Agreement:
    """How much the captions of each picture agree with one another, and with those of training pictures."""

    def __init__(self, documents: Captions) -> None:
        """Weigh n-grams by the captions of many pictures, whose rows ascend and may have gaps."""
        _, rows, self._count = np.unique(documents.images, return_inverse=True, return_counts=True)
        self._documents = Captions(documents.words, documents.lengths, rows.astype(np.int64))
        self._first = np.cumsum(self._count) - self._count
        self._begin = np.cumsum(documents.lengths) - documents.lengths

    def __call__(self, captions: Ids) -> Floats:
        """The mean CIDEr-D of each caption against all captions of its picture, float64 [B, K], 0 to 10.

        Args:
            captions: int64 [B, K, T], words and, if there is one, the end token; then padding.
        """
        said = _of(captions)
        return CiderD(said, self._documents)(said).reshape(captions.shape[:2])

    def with_pictures(self, captions: Ids, pictures: Ids) -> Floats:
        """The mean CIDEr-D of each caption against all captions of other pictures, float64 [B, K], 0 to 10.

        Args:
            captions: int64 [B, K, T], as above.
            pictures: int64 [B, N], those that each of the B pictures is compared with, by their places among
                all pictures of the documents.
        """
        references = self._told(pictures)
        return CiderD(references, self._documents)(_of(captions)).reshape(captions.shape[:2])

    def _told(self, pictures: Ids) -> Captions:
        """The captions of N pictures, int64 [B, N], as captions of B pictures; one may be named again."""
        captions = _ranges(self._first[pictures.ravel()], self._count[pictures.ravel()])
        lengths = self._documents.lengths[captions]
        words = self._documents.words[_ranges(self._begin[captions], lengths)]
        return Captions(words, lengths, np.repeat(np.arange(len(pictures)), self._count[pictures].sum(1)))


def _of(captions: Ids) -> Captions:
    pictures, count, _ = captions.shape
    return Captions.of(captions, np.repeat(np.arange(pictures), count), PAD)


def _ranges(starts: Ids, counts: Ids) -> Ids:
    """start, start + 1 and so on, so many of each, one after the other."""
    behind = np.cumsum(counts)
    return np.arange(counts.sum()) + np.repeat(starts - behind + counts, counts)
