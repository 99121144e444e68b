"""Show and Tell: an LSTM that reads the picture first and then the words.

Vinyals, Toshev, Bengio, Erhan: Show and Tell: A Neural Image Caption Generator (CVPR 2015).
With x_-1 = W f, where f is the picture's features (standardised over the batch, if asked for), and
x_t = E w_t:

    h_t = LSTM(x_t, h_t-1),    p(w_t+1 | w_0 .. w_t, picture) = softmax(U h_t + b)

With ``inject: every`` there is no x_-1, and x_t = E w_t + W f: the picture need not be remembered (the
"par-inject" of Tanti, Gatt, Camilleri: Where to put the Image in an Image Caption Generator, 2018).
"""

import torch
from torch import Tensor, nn

from capflow.models.decoder import Decoder, Shape, State
from capflow.params import DecoderParams


class Standardise(nn.BatchNorm1d):
    """Batch normalisation that also takes a batch of one, which batches of one caption length end in.

    One row has no variance of its own: it is standardised as in evaluation, by what was seen before.
    """

    def forward(self, rows: Tensor) -> Tensor:
        """Standardise float [B, channels]."""
        if len(rows) > 1:
            return super().forward(rows)
        return nn.functional.batch_norm(
            rows, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
        )


class LSTMDecoder(Decoder):
    """The decoder of Show and Tell; a grid is read as one long vector."""

    def __init__(self, params: DecoderParams, shape: Shape) -> None:
        """Build the layers for features and a vocabulary of the given shape."""
        super().__init__()
        self.every = params.inject == "every"
        self.project = nn.Linear(shape.cells * shape.channels, params.embedding)
        self.norm = Standardise(params.embedding) if params.batch_norm else nn.Identity()
        self.embed = nn.Embedding(shape.words, params.embedding)
        self.lstm = nn.LSTM(
            params.embedding,
            params.hidden,
            params.layers,
            batch_first=True,
            dropout=params.dropout if params.layers > 1 else 0.0,
        )
        self.dropout = nn.Dropout(params.dropout)
        self.vocabulary = nn.Linear(params.hidden, shape.words)
        self._initialise()

    def _initialise(self) -> None:
        """Small word vectors, and forget gates that start open.

        The picture is read first and must be remembered to the last word; with PyTorch's gates,
        half open, little of it is left after ten words (Jozefowicz et al., ICML 2015).
        """
        nn.init.normal_(self.embed.weight, std=0.1)
        for name, bias in self.lstm.named_parameters():
            if name.startswith("bias"):
                # The gates lie one after another: input, forget, cell, output.
                nn.init.constant_(bias.data.view(4, -1)[1], 1.0)

    def forward(self, features: Tensor, tokens: Tensor) -> Tensor:
        """All steps at once; where the picture comes first, its own output is dropped."""
        picture, words = self._picture(features), self.dropout(self.embed(tokens))
        if self.every:
            hidden, _ = self.lstm(words + picture)
        else:
            hidden = self.lstm(torch.cat([picture, words], 1))[0][:, 1:]
        dropped: Tensor = self.dropout(hidden)
        return dropped

    def words(self, hidden: Tensor) -> Tensor:
        """Logits over the vocabulary, float [..., words], from float [..., hidden]."""
        logits: Tensor = self.vocabulary(hidden)
        return logits

    def init(self, features: Tensor) -> State:
        """The memory, ``h`` and ``c`` [B, layers, hidden], and what is added to words, [B, embedding]."""
        picture = self._picture(features)
        if self.every:
            empty = picture.new_zeros(len(features), self.lstm.num_layers, self.lstm.hidden_size)
            return {"h": empty, "c": empty, "picture": picture[:, 0]}
        _, (h, c) = self.lstm(picture)
        return {"h": h.transpose(0, 1), "c": c.transpose(0, 1), "picture": torch.zeros_like(picture[:, 0])}

    def step(self, token: Tensor, state: State) -> tuple[Tensor, State]:
        """One step of the recurrence."""
        h, c = (state[name].transpose(0, 1).contiguous() for name in ("h", "c"))
        word = self.embed(token) + state["picture"]
        hidden, (h, c) = self.lstm(word[:, None], (h, c))
        after = {"h": h.transpose(0, 1), "c": c.transpose(0, 1), "picture": state["picture"]}
        return self.words(hidden[:, 0]), after

    def _picture(self, features: Tensor) -> Tensor:
        picture: Tensor = self.dropout(self.norm(self.project(features.flatten(1))))
        return picture[:, None]
