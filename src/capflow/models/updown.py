"""Up-Down: an LSTM that decides where to look, below an LSTM that writes.

Anderson, He, Buehler, Teney, Johnson, Gould, Zhang: Bottom-Up and Top-Down Attention for Image Captioning
and Visual Question Answering (CVPR 2018); the cells of the grid take the place of detected regions. With
the cells v_i of the picture, z(h) what is seen of them (:mod:`capflow.models.soft`, f = tanh), and
x_t = E w_t:

    a_t = LSTM_1([h_t-1, mean v, x_t], a_t-1),    h_t = LSTM_2([z(a_t), a_t], h_t-1)
    p(w_t+1 | w_0 .. w_t, picture) = softmax(U h_t + b)
"""

import torch
from torch import Tensor, nn

from capflow.models.decoder import Shape
from capflow.models.grouping import Grid
from capflow.models.recurrence import cell
from capflow.models.repeated import Repeated
from capflow.models.soft import SoftAttention, SoftDecoder, Tensors
from capflow.params import DecoderParams


class UpDownDecoder(SoftDecoder):
    """The decoder of Up-Down."""

    def __init__(self, params: DecoderParams, shape: Shape) -> None:
        """Build the layers for features and a vocabulary of the given shape."""
        super().__init__(params, shape)
        gates = 4 * params.hidden
        self.soft = SoftAttention(self.channels, params.hidden, params.attention, nn.Tanh())
        self.from_mean = nn.Linear(self.channels, gates, bias=False)
        self.from_outputs = Repeated(2 * params.hidden, gates, bias=False)
        self.write_seen = Repeated(self.channels, gates)
        self.write_outputs = Repeated(2 * params.hidden, gates, bias=False)

    def look(self, features: Tensor) -> Tensors:
        """Beside the cells, what their mean adds to the gates of the first LSTM, ``mean``."""
        return super().look(features) | {"mean": self.from_mean(features.mean(1))}

    def begin(self, features: Tensor) -> Tensors:
        """Outputs and memories of both LSTMs, 0 at first: ``a`` and ``b``, ``h`` and ``c``."""
        gates = self.write_seen.weight
        return dict.fromkeys("abhc", gates.new_zeros(len(features), len(gates) // 4))

    def advance(self, word: Tensor, memory: Tensors, sight: Tensors, grid: Grid) -> tuple[Tensor, Tensors]:
        """Decide where to look, look, and say a word."""
        a, b, h, c = (memory[name] for name in "abhc")
        mean = grid.collect(sight["mean"][:, None].expand(-1, grid.width, -1))
        a, b = cell(word + mean + self.from_outputs(torch.cat([h, a], 1)), b)
        seen, weights = self.soft(a, sight, grid)
        h, c = cell(self.write_seen(seen) + self.write_outputs(torch.cat([a, h], 1)), c)
        return weights, {"a": a, "b": b, "h": h, "c": c}
