"""The two ends of a decoder: word vectors in, logits out.

Tied, both have the same weights (Press, Wolf: Using the Output Embedding to Improve Language Models,
EACL 2017). They then start small enough for logits, with a standard deviation of 1 / sqrt(d), and are
multiplied by sqrt(d) on their way in (Vaswani et al.: Attention Is All You Need, NeurIPS 2017).
"""

import math

from torch import Tensor, nn

from capflow.models.shapes import rounded
from capflow.params import DecoderParams


class ScaledEmbedding(nn.Embedding):
    """Word vectors that are kept at 1 / sqrt(d) of their size."""

    def reset_parameters(self) -> None:
        """Draw the first weights."""
        nn.init.normal_(self.weight, std=self.embedding_dim**-0.5)

    def forward(self, ids: Tensor) -> Tensor:
        """The vectors, float [..., d], of words, int64 [...]."""
        return math.sqrt(self.embedding_dim) * super().forward(ids)


class WordLogits(nn.Linear):
    """Logits over the vocabulary, of a rounded number of words at a time."""

    def forward(self, hidden: Tensor) -> Tensor:
        """[..., words] from [..., hidden]."""
        rows = hidden.reshape(-1, hidden.shape[-1])
        filled = nn.functional.pad(rows, (0, 0, 0, rounded(len(rows)) - len(rows)))
        return super().forward(filled)[: len(rows)].view(*hidden.shape[:-1], -1)


def word_vectors(params: DecoderParams, words: int) -> nn.Embedding:
    """Word vectors, which start with a standard deviation of 1."""
    return (ScaledEmbedding if params.tied else nn.Embedding)(words, params.embedding)


def word_logits(params: DecoderParams, vectors: nn.Embedding, hidden: int) -> nn.Linear:
    """From a decoder's output, float [..., hidden], to logits, with the weights of ``vectors`` if tied."""
    logits = WordLogits(hidden, vectors.num_embeddings)
    if params.tied:
        logits.weight = vectors.weight
    return logits
