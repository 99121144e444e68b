"""Show, Attend and Tell: an LSTM that looks at the grid of the picture before each word.

Xu, Ba, Kiros, Cho, Courville, Salakhutdinov, Zemel, Bengio: Show, Attend and Tell: Neural Image Caption
Generation with Visual Attention (ICML 2015), with soft attention, a gate for each channel instead of one
for all, as most implementations have it, and logits from h_t alone.
With the cells v_i of the picture, z(h) what is seen of them (:mod:`capflow.models.soft`, f = ReLU), and
x_t = E w_t:

    h_0 = W_h mean v + b_h,    c_0 = W_c mean v + b_c
    g_t = sigmoid(W_g h_t-1 + b_g) * z(h_t-1),    h_t, c_t = LSTM([x_t, g_t], h_t-1, c_t-1)
    p(w_t+1 | w_0 .. w_t, picture) = softmax(U h_t + b)
"""

from torch import Tensor, nn

from capflow.models.decoder import Shape
from capflow.models.grouping import Grid
from capflow.models.recurrence import cell
from capflow.models.repeated import Repeated
from capflow.models.soft import SoftAttention, SoftDecoder, Tensors
from capflow.params import DecoderParams


class AttentionDecoder(SoftDecoder):
    """The decoder of Show, Attend and Tell."""

    def __init__(self, params: DecoderParams, shape: Shape) -> None:
        """Build the layers for features and a vocabulary of the given shape."""
        super().__init__(params, shape)
        self.soft = SoftAttention(self.channels, params.hidden, params.attention, nn.ReLU(inplace=True))
        self.init_h = nn.Linear(self.channels, params.hidden)
        self.init_c = nn.Linear(self.channels, params.hidden)
        self.gate = Repeated(params.hidden, self.channels)
        self.from_picture = Repeated(self.channels, 4 * params.hidden, bias=False)
        self.from_before = Repeated(params.hidden, 4 * params.hidden, bias=False)

    def begin(self, features: Tensor) -> Tensors:
        """``h`` and ``c``, [P, hidden] each; the memory is never of reduced precision."""
        mean = features.mean(1)
        return {"h": self.init_h(mean), "c": self.init_c(mean).float()}

    def advance(self, word: Tensor, memory: Tensors, sight: Tensors, grid: Grid) -> tuple[Tensor, Tensors]:
        """Look, let the gate decide how much of it counts, and say a word."""
        h = memory["h"]
        seen, weights = self.soft(h, sight, grid)
        gates = word + self.from_picture(self.gate(h).sigmoid() * seen) + self.from_before(h)
        h, c = cell(gates, memory["c"])
        return weights, {"h": h, "c": c}
