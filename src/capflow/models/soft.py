"""What decoders with soft attention over the cells of a picture share.

With the cells v_i and what the decoder has come to, h_t (Bahdanau, Cho, Bengio: Neural Machine
Translation by Jointly Learning to Align and Translate, ICLR 2015; Xu et al.: Show, Attend and Tell, ICML
2015):

    e_ti = w . f(U v_i + W h_t),    a_t = softmax(e_t),    z_t = sum_i a_ti v_i

With ``project``, v_i = dropout(ReLU(P u_i + b)) of the cells u_i that the encoder gives: shorter, and
learnt for captions (Luo, Price, Cohen, Shakhnarovich: Discriminability Objective for Training Descriptive
Captions, CVPR 2018, and most Up-Down captioners since).

U v_i is made once for each picture, and what words add to the LSTM's gates once for all of them. Each
step has only the captions that are so long (or their block is), beside the others of their pictures.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from capflow.models.decoder import AttentiveDecoder, Shape, State, Told
from capflow.models.dropout import Dropout
from capflow.models.grouping import Grid, Groups, group
from capflow.models.recurrence import pack, pad, unpack
from capflow.models.repeated import Repeated, repeating
from capflow.models.standardise import standardise
from capflow.models.words import word_logits, word_vectors
from capflow.params import DecoderParams
from capflow.text.vocabulary import PAD

Tensors = dict[str, Tensor]


class SoftAttention(nn.Module):
    """Additive attention over the cells of pictures."""

    def __init__(
        self, channels: int, hidden: int, width: int, activation: Callable[[Tensor], Tensor]
    ) -> None:
        """Build it for cells of ``channels``, queries of ``hidden``, with f = ``activation`` in between."""
        super().__init__()
        self.key = nn.Linear(channels, width)
        self.query = Repeated(hidden, width)
        self.score = nn.Linear(width, 1, bias=False)  # a bias would not change the softmax
        self.activation = activation

    def look(self, features: Tensor) -> Tensors:
        """What :meth:`forward` needs of pictures, [P, cells, channels]: ``keys`` and ``values``."""
        keys: Tensor = self.key(features)
        return {"keys": keys, "values": features.to(keys.dtype)}

    def forward(self, hidden: Tensor, sight: Tensors, grid: Grid) -> tuple[Tensor, Tensor]:
        """Look at pictures.

        Args:
            hidden: [B, hidden], the rows of ``grid``.
            sight: of :meth:`look`, a picture for each group of ``grid``.
            grid: which picture each row looks at.

        Returns:
            What was seen, [B, channels], and the weights of the cells, [B, cells].
        """
        queries = grid.spread(self.query(hidden))
        energy = self.score(self.activation(sight["keys"][:, None] + queries[:, :, None])).squeeze(-1)
        weights = energy.softmax(-1)
        seen = weights.to(sight["values"].dtype) @ sight["values"]
        return grid.collect(seen), grid.collect(weights)


def projection(channels: int, params: DecoderParams) -> nn.Module:
    """What brings cells, float [..., channels], to the length that ``decoder.project`` asks for."""
    if not params.project:
        return nn.Identity()
    return nn.Sequential(nn.Linear(channels, params.project), nn.ReLU(inplace=True), Dropout(params.dropout))


class SoftDecoder(AttentiveDecoder):
    """A recurrence over words with one look at the picture in each step.

    Attributes:
        channels: the length of cells as attention sees them.
    """

    soft: SoftAttention

    def __init__(self, params: DecoderParams, shape: Shape) -> None:
        """Build the layers around the recurrence."""
        super().__init__()
        self.norm = standardise(shape.channels, wanted=params.batch_norm)
        self.channels = params.project or shape.channels
        self.project = projection(shape.channels, params)
        self.embed = word_vectors(params, shape.words)
        self.from_word = nn.Linear(params.embedding, 4 * params.hidden)
        self.dropout = Dropout(params.dropout)
        self.vocabulary = word_logits(params, self.embed, params.hidden)
        self.doubly_stochastic = params.doubly_stochastic

    @abstractmethod
    def begin(self, features: Tensor) -> Tensors:
        """What is remembered before the first word, a row for each picture, [P, cells, channels]."""

    @abstractmethod
    def advance(self, word: Tensor, memory: Tensors, sight: Tensors, grid: Grid) -> tuple[Tensor, Tensors]:
        """One step.

        Args:
            word: [B, 4 hidden], what the words said last add to the gates.
            memory: of :meth:`begin`, or of the step before; rows for the B candidates.
            sight: of :meth:`look`.
            grid: which picture each candidate belongs to.

        Returns:
            The weights of the cells, [B, cells], and what is remembered now; its ``h`` is the output.
        """

    def look(self, features: Tensor) -> Tensors:
        """What each step needs of pictures, [P, cells, channels]."""
        return self.soft.look(features)

    def forward(self, features: Tensor, picture: Tensor, tokens: Tensor) -> Told:
        """All captions, packed; in training with the doubly stochastic penalty.

        Each cell should be looked at once in a caption (Xu et al., 2015): with C captions and L cells,
        the penalty is ``doubly_stochastic`` / (C L) * sum over captions and cells of (1 - sum_t a_ti)^2.
        """
        real = tokens[:, 1:] != PAD
        hidden, weights = self._read(features, picture, pack(tokens[:, :-1], real))
        rows = unpack(hidden._replace(data=self.dropout(hidden.data)), real)
        if not (self.training and self.doubly_stochastic):
            return Told(rows, rows.new_zeros(()))
        looks = pad(weights, real.shape[1]).mul(real[..., None])
        uneven = (1 - looks.sum(1)).square().mean()
        return Told(rows, self.doubly_stochastic * uneven)

    def attend(self, features: Tensor, picture: Tensor, tokens: Tensor) -> Tensor:
        """The weights of the cells for each word, float [B, T - 1, cells]."""
        real = tokens[:, 1:] != PAD
        looks = pad(self._read(features, picture, pack(tokens[:, :-1], real))[1], real.shape[1])
        return looks.mul(real[..., None])

    def words(self, hidden: Tensor) -> Tensor:
        """Logits over the vocabulary, float [..., words], from float [..., hidden]."""
        logits: Tensor = self.vocabulary(hidden)
        return logits

    def init(self, features: Tensor) -> State:
        """What was seen of pictures, and what is remembered before the first word."""
        features = self._cells(features)
        return State(self.look(features), self.begin(features))

    def step(self, token: Tensor, state: State) -> tuple[Tensor, State]:
        """One step of the recurrence."""
        pictures = len(state.pictures["keys"])
        grid = Grid(pictures, len(token) // pictures)
        word = self.from_word(self.embed(token))
        _, memory = self.advance(word, state.candidates, state.pictures, grid)
        return self.words(memory["h"]), State(state.pictures, memory)

    def _cells(self, features: Tensor) -> Tensor:
        """The cells as attention sees them, [P, cells, self.channels]."""
        cells: Tensor = self.project(self.norm(features))
        return cells

    def _read(
        self, features: Tensor, picture: Tensor, said: PackedSequence
    ) -> tuple[PackedSequence, PackedSequence]:
        """Output, [R, hidden], and weights of the cells, [R, cells], for each word of packed captions."""
        features = self._cells(features)
        inputs = self.from_word(self.dropout(self.embed(said.data)))
        picture = picture[said.sorted_indices]
        memory = {name: value.index_select(0, picture) for name, value in self.begin(features).items()}
        sizes = said.batch_sizes.tolist()
        outputs, weights = [], []
        glances = self._glances(features, group(picture), sizes)
        with repeating(self):
            for word, (sight, grid) in zip(inputs.split(sizes), glances, strict=True):
                live = {name: value[: len(word)] for name, value in memory.items()}
                looked, memory = self.advance(word, live, sight, grid)
                outputs.append(memory["h"])
                weights.append(looked)
        return said._replace(data=torch.cat(outputs)), said._replace(data=torch.cat(weights))

    def _glances(self, features: Tensor, groups: Groups, sizes: list[int]) -> Iterator[tuple[Tensors, Grid]]:
        """The pictures of the captions that each step has, and where these stand."""
        sight = {name: value.index_select(0, groups.picture) for name, value in self.look(features).items()}
        reached = len(groups.picture)
        for size in sizes:
            count = groups.reach[size - 1]
            if count < reached:  # the gradient of a part is as large as the whole: as few parts as may be
                sight, reached = {name: value[:count] for name, value in sight.items()}, count
            yield sight, Grid(count, groups.width, groups.place[:size])
