"""Show and Tell: an LSTM that reads the picture first and then the words.

Vinyals, Toshev, Bengio, Erhan: Show and Tell: A Neural Image Caption Generator (CVPR 2015).
With x_-1 = W f, where f is the picture's features (standardised over the batch, if asked for), and
x_t = E w_t:

    h_t = LSTM(x_t, h_t-1),    p(w_t+1 | w_0 .. w_t, picture) = softmax(U h_t + b)

With ``inject: every`` there is no x_-1, and x_t = E w_t + W f: the picture need not be remembered (the
"par-inject" of Tanti, Gatt, Camilleri: Where to put the Image in an Image Caption Generator, 2018).
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from capflow.models.decoder import Decoder, Shape, State, Told
from capflow.models.dropout import Dropout
from capflow.models.recurrence import pack, recur, unpack
from capflow.models.standardise import standardise
from capflow.models.words import word_logits, word_vectors
from capflow.params import DecoderParams
from capflow.text.vocabulary import PAD


class LSTMDecoder(Decoder):
    """The decoder of Show and Tell; a grid is read as one long vector."""

    def __init__(self, params: DecoderParams, shape: Shape) -> None:
        """Build the layers for features and a vocabulary of the given shape."""
        super().__init__()
        self.every = params.inject == "every"
        self.project = nn.Linear(shape.cells * shape.channels, params.embedding)
        self.norm = standardise(params.embedding, wanted=params.batch_norm)
        self.embed = word_vectors(params, shape.words)
        self.lstm = nn.LSTM(
            params.embedding,
            params.hidden,
            params.layers,
            batch_first=True,
            dropout=params.dropout if params.layers > 1 else 0.0,
        )
        self.dropout = Dropout(params.dropout)
        self.vocabulary = word_logits(params, self.embed, params.hidden)
        self._open_forget_gates()

    def _open_forget_gates(self) -> None:
        """Start with open forget gates, which remember (Jozefowicz et al., ICML 2015).

        A picture that is read first must be remembered to the last word; with PyTorch's gates, half
        open, little of it is left after ten words.
        """
        for name, bias in self.lstm.named_parameters():
            if name.startswith("bias"):
                # The gates lie one after another: input, forget, cell, output.
                nn.init.constant_(bias.data.view(4, -1)[1], 1.0)

    def forward(self, features: Tensor, picture: Tensor, tokens: Tensor) -> Told:
        """All captions at once, packed: each step has only the captions that are so long."""
        real = tokens[:, 1:] != PAD
        seen = self.dropout(self._picture(features).index_select(0, picture))
        state = self._begin(seen)
        said = pack(tokens[:, :-1], real)
        hidden: Tensor = self.dropout(self.embed(said.data))
        if self.every:
            caption = torch.arange(len(tokens), device=tokens.device)[:, None].expand_as(real)
            hidden = hidden + seen.index_select(0, pack(caption, real).data)
        for layer in range(self.lstm.num_layers):
            hidden = self.dropout(self._layer(layer, said._replace(data=hidden), state))
        return Told(unpack(said._replace(data=hidden), real), hidden.new_zeros(()))

    def _layer(self, layer: int, words: PackedSequence, state: dict[str, Tensor]) -> Tensor:
        """What a layer of ``self.lstm`` makes of packed words."""
        from_below, from_before, *biases = self.lstm.all_weights[layer]
        h, c = (state[name][words.sorted_indices, layer] for name in ("h", "c"))
        inputs = nn.functional.linear(words.data, from_below, biases[0] + biases[1])
        return recur(inputs, from_before, h, c, words.batch_sizes.tolist())

    def words(self, hidden: Tensor) -> Tensor:
        """Logits over the vocabulary, float [..., words], from float [..., hidden]."""
        logits: Tensor = self.vocabulary(hidden)
        return logits

    def init(self, features: Tensor) -> State:
        """The picture, [P, embedding], if words have it beside; ``h`` and ``c``, [B, layers, hidden]."""
        picture = self._picture(features)
        return State({"picture": picture} if self.every else {}, self._begin(picture))

    def step(self, token: Tensor, state: State) -> tuple[Tensor, State]:
        """One step of the recurrence."""
        h, c = (state.candidates[name].transpose(0, 1).contiguous() for name in ("h", "c"))
        word = self.embed(token)
        if self.every:
            picture = state.pictures["picture"]
            word = (word.view(len(picture), -1, word.shape[1]) + picture[:, None]).flatten(0, 1)
        hidden, (h, c) = self.lstm(word[:, None], (h, c))
        candidates = {"h": h.transpose(0, 1), "c": c.transpose(0, 1)}
        return self.words(hidden[:, 0]), State(state.pictures, candidates)

    def _begin(self, picture: Tensor) -> dict[str, Tensor]:
        """``h`` and ``c`` before the first word, of pictures [B, embedding]."""
        if self.every:
            empty = picture.new_zeros(len(picture), self.lstm.num_layers, self.lstm.hidden_size)
            return {"h": empty, "c": empty}
        h, c = zip(*self._look(picture), strict=True)
        return {"h": torch.stack(h, 1), "c": torch.stack(c, 1)}

    def _look(self, picture: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """``h`` and ``c``, [B, hidden], of each layer after the picture, before which they were nothing."""
        below = picture
        for from_below, _, *biases in self.lstm.all_weights:
            i, _, g, o = nn.functional.linear(below, from_below, biases[0] + biases[1]).chunk(4, 1)
            c = i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            yield h, c
            below = nn.functional.dropout(h, self.lstm.dropout, self.training)

    def _picture(self, features: Tensor) -> Tensor:
        picture: Tensor = self.norm(self.project(features.flatten(1)))
        return picture
