"""Show and Tell: an LSTM that reads the picture first and then the words.

Vinyals, Toshev, Bengio, Erhan: Show and Tell: A Neural Image Caption Generator (CVPR 2015).
With x_-1 = W f, where f is the picture's features, and x_t = E w_t:

    h_t = LSTM(x_t, h_t-1),    p(w_t+1 | w_0 .. w_t, picture) = softmax(U h_t + b)
"""

import torch
from torch import Tensor, nn

from capflow.models.decoder import Decoder, Shape, State
from capflow.params import DecoderParams


class LSTMDecoder(Decoder):
    """The decoder of Show and Tell; a grid is read as one long vector."""

    def __init__(self, params: DecoderParams, shape: Shape) -> None:
        """Build the layers for features and a vocabulary of the given shape."""
        super().__init__()
        self.project = nn.Linear(shape.cells * shape.channels, params.embedding)
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
        nn.init.normal_(self.embed.weight, std=0.1)

    def forward(self, features: Tensor, tokens: Tensor) -> Tensor:
        """All steps at once: the picture, then the words; the picture's own output is dropped."""
        words = self.dropout(self.embed(tokens))
        inputs = torch.cat([self._picture(features), words], 1)
        hidden, _ = self.lstm(inputs)
        dropped: Tensor = self.dropout(hidden[:, 1:])
        return dropped

    def words(self, hidden: Tensor) -> Tensor:
        """Logits over the vocabulary, float [..., words], from float [..., hidden]."""
        logits: Tensor = self.vocabulary(hidden)
        return logits

    def init(self, features: Tensor) -> State:
        """``h`` and ``c`` after the picture, float [B, layers, hidden] each."""
        _, (h, c) = self.lstm(self._picture(features))
        return {"h": h.transpose(0, 1), "c": c.transpose(0, 1)}

    def step(self, token: Tensor, state: State) -> tuple[Tensor, State]:
        """One step of the recurrence."""
        h, c = (state[name].transpose(0, 1).contiguous() for name in ("h", "c"))
        hidden, (h, c) = self.lstm(self.embed(token)[:, None], (h, c))
        return self.words(hidden[:, 0]), {"h": h.transpose(0, 1), "c": c.transpose(0, 1)}

    def _picture(self, features: Tensor) -> Tensor:
        picture: Tensor = self.dropout(self.project(features.flatten(1).to(self.project.weight.dtype)))
        return picture[:, None]
