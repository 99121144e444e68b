"""An encoder of cells and a decoder of words, both of self-attention.

Vaswani et al.: Attention Is All You Need (NeurIPS 2017), over the grid of a picture, as captioners have it
since Cornia et al. (Meshed-Memory Transformer, CVPR 2020) and Luo (2020). ``layers`` layers of each kind
of width ``embedding``, with ``heads`` heads and feed-forward layers of ``hidden``; normalised first (Xiong
et al.: On Layer Normalization in the Transformer Architecture, ICML 2020):

    x + A(norm x),    x + FFN(norm x),    A(q, k, v) = softmax(q k / sqrt(d / heads)) v

Cells have learnt positions, words sinusoids. What a layer of the decoder sees of a picture is made once
for the picture and never copied for its captions; in the search, keys and values of words are kept.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeVar, cast

import torch
from torch import Tensor, nn

from capflow.models.decoder import AttentiveDecoder, Shape, State, Told
from capflow.models.dropout import Dropout
from capflow.models.grouping import Grid, group
from capflow.models.layers import DecoderLayer, EncoderLayer, sinusoids
from capflow.models.shapes import rounded
from capflow.models.standardise import standardise
from capflow.models.words import word_logits, word_vectors
from capflow.params import DecoderParams
from capflow.text.vocabulary import PAD

Layer = TypeVar("Layer", bound=nn.Module)


class _Captions(NamedTuple):
    """Whole captions on their way through the layers of the decoder.

    ``rows`` [R, width], a row for each word and for some padding; ``sight``, for each layer, [G, cells, 2
    width]; ``words``, a grid with a group for each caption; ``looks``, one with a group for the captions of a
    picture.
    """

    rows: Tensor
    sight: list[Tensor]
    words: Grid
    looks: Grid


class TransformerDecoder(AttentiveDecoder):
    """Both stacks of layers, that over cells and that over words."""

    def __init__(self, params: DecoderParams, shape: Shape) -> None:
        """Build the layers for features and a vocabulary of the given shape."""
        super().__init__()
        width = params.embedding
        sizes = (width, params.heads, params.hidden, params.dropout)
        self.project = nn.Linear(shape.channels, width)
        self.norm = standardise(width, wanted=params.batch_norm)
        self.position = nn.Parameter(torch.empty(shape.cells, width).normal_(std=0.02))
        self.cells = _stack(EncoderLayer(*sizes) for _ in range(params.layers))
        self.cells_norm = nn.LayerNorm(width)
        self.embed = word_vectors(params, shape.words)
        self.layers = _stack(DecoderLayer(*sizes) for _ in range(params.layers))
        self.layers_norm = nn.LayerNorm(width)
        self.dropout = Dropout(params.dropout)
        self.vocabulary = word_logits(params, self.embed, width)

    def forward(self, features: Tensor, picture: Tensor, tokens: Tensor) -> Told:
        """All words of all captions at once; none sees what comes after it."""
        rows, sight, words, looks = self._spread(features, picture, tokens)
        for layer, seen in zip(self.layers, sight, strict=True):
            rows = layer(rows, seen, words, looks)
        real = int((tokens[:, 1:] != PAD).sum())
        return Told(self.layers_norm(rows[:real]), rows.new_zeros(()))

    def attend(self, features: Tensor, picture: Tensor, tokens: Tensor) -> Tensor:
        """The weights of the cells in the last layer, the mean of its heads, float [B, T - 1, cells]."""
        real = tokens[:, 1:] != PAD
        rows, sight, words, looks = self._spread(features, picture, tokens)
        for layer, seen in zip(self.layers[:-1], sight, strict=False):
            rows = layer(rows, seen, words, looks)
        weights = self.layers[-1].weights(rows, sight[-1], words, looks)
        padded = weights.new_zeros(*real.shape, weights.shape[1])
        padded[real] = weights[: int(real.sum())]
        return padded

    def words(self, hidden: Tensor) -> Tensor:
        """Logits over the vocabulary, float [..., words], from float [..., width]."""
        logits: Tensor = self.vocabulary(hidden)
        return logits

    def init(self, features: Tensor) -> State:
        """Keys and values of cells, ``0`` and so on by layer, [P, cells, 2 width]; of words none yet."""
        sight = self._look(features)
        empty = features.new_zeros(len(features), 0, 2 * self.embed.embedding_dim)
        return State(_by_layer(sight), _by_layer([empty] * len(sight)))

    def step(self, token: Tensor, state: State) -> tuple[Tensor, State]:
        """One more word, which sees the keys and values of those before, [B, words, 2 width] by layer."""
        pictures = len(state.pictures["0"])
        looks = Grid(pictures, len(token) // pictures)
        place = torch.full_like(token, state.candidates["0"].shape[1])
        rows, kept = self._embed(token, place), []
        for layer, seen, before in zip(
            self.layers, state.pictures.values(), state.candidates.values(), strict=True
        ):
            rows, past = layer.step(rows, before, seen, looks)
            kept.append(past)
        return self.words(self.layers_norm(rows)), State(state.pictures, _by_layer(kept))

    def _look(self, features: Tensor) -> list[Tensor]:
        """What each layer of the decoder sees of pictures, [P, cells, channels]: [P, cells, 2 width]."""
        grid = Grid(*features.shape[:2])
        rows = self.dropout(self.norm(self.project(features)) + self.position).flatten(0, 1)
        for layer in self.cells:
            rows = layer(rows, grid)
        cells = grid.spread(self.cells_norm(rows))
        return [layer.look(cells) for layer in self.layers]

    def _embed(self, token: Tensor, place: Tensor) -> Tensor:
        """[R, width] from words, int64 [R], and their places in captions, int64 [R]."""
        words = self.embed(token)
        rows: Tensor = self.dropout(words + sinusoids(place, words.shape[1]).to(words.dtype))
        return rows

    def _spread(self, features: Tensor, picture: Tensor, tokens: Tensor) -> _Captions:
        """Words as rows, beside those of their caption, and of the other captions of their picture.

        Behind the last word come places of padding, up to a rounded number of rows.
        """
        padding, length = tokens[:, 1:] == PAD, tokens.shape[1] - 1
        chosen = padding.flatten().long().argsort(stable=True)[: rounded(int((~padding).sum()))]
        caption, place, groups = chosen // length, chosen % length, group(picture)
        where = groups.place[caption] * length + place
        count, width = len(groups.picture), groups.width
        return _Captions(
            self._embed(tokens[caption, place], place),
            [seen.index_select(0, groups.picture) for seen in self._look(features)],
            Grid(count * width, length, where),
            Grid(count, width * length, where),
        )


def _stack(layers: Iterable[Layer]) -> Sequence[Layer]:
    """Layers that PyTorch knows of."""
    return cast("Sequence[Layer]", nn.ModuleList(layers))


def _by_layer(tensors: list[Tensor]) -> dict[str, Tensor]:
    return {str(layer): tensor for layer, tensor in enumerate(tensors)}
