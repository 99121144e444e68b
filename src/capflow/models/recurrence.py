"""The recurrence of an LSTM over captions of many lengths, with hardly a step spent on padding.

Captions lie packed as :func:`torch.nn.utils.rnn.pack_padded_sequence` puts them: the first words of all
of them, the longest caption first, then the second words of those that have one, and so on. In bf16 on a
processor they stand in blocks, each of which goes on to the end of its longest caption: so the steps are of
few different sizes (:mod:`capflow.models.shapes`), at the price of a tenth more rows where a batch has 160
captions.

``nn.LSTM`` on a processor either pads or takes a slow path for packed captions. Here a step does only
what depends on the step before:

    i, f, g, o = x_t + U h_t-1
    c_t = sigmoid(f) c_t-1 + sigmoid(i) tanh(g),    h_t = sigmoid(o) tanh(c_t)

where x = W E w + b was made for all words at once (Hochreiter, Schmidhuber: Long Short-Term Memory,
1997; the gates lie as in PyTorch).
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from capflow.models.repeated import Product
from capflow.models.shapes import block


def pack(values: Tensor, real: Tensor) -> PackedSequence:
    """Pack [B, T], of which ``real``, bool [B, T], says how far each row goes at least."""
    lengths, order = real.sum(1).cpu().sort(descending=True, stable=True)
    first = torch.arange(len(lengths)) // block() * block()
    order = order.to(values.device)
    packed = pack_padded_sequence(values[order], lengths[first], batch_first=True)
    return packed._replace(sorted_indices=order, unsorted_indices=order.argsort())


def pad(packed: PackedSequence, length: int) -> Tensor:
    """[B, length, ...] from packed [R, ...], with 0 behind the end of each block of captions."""
    rows: Tensor = pad_packed_sequence(packed, batch_first=True, total_length=length)[0]
    return rows


def unpack(packed: PackedSequence, real: Tensor) -> Tensor:
    """The rows of packed [R, ...] in the order in which ``real`` is read, caption by caption."""
    places = packed._replace(data=torch.arange(len(packed.data), device=packed.data.device))
    return packed.data.index_select(0, pad(places, real.shape[1])[real])


def recur(inputs: Tensor, weight: Tensor, h: Tensor, c: Tensor, sizes: Sequence[int]) -> Tensor:
    """The hidden state after each word.

    Args:
        inputs: [R, 4 hidden], what each word adds to the gates, packed.
        weight: [4 hidden, hidden], from the state before to the gates.
        h: [B, hidden], the output before the first word.
        c: [B, hidden], the memory before the first word; it stays in its own precision.
        sizes: how many captions are read to a first word (B), to a second one, and so on.

    Returns:
        [R, hidden], packed, in the precision of ``inputs``.
    """
    before, outputs = Product(weight), []
    for x in torch.split(inputs, list(sizes)):
        h, c = cell(x + before(h[: len(x)]), c[: len(x)])
        outputs.append(h)
    return torch.cat(outputs)


def cell(gates: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Output and memory, [B, hidden] each, from the gates, [B, 4 hidden], and the memory before.

    The output has the precision of the gates, the memory keeps its own.
    """
    i, f, g, o = gates.chunk(4, 1)
    c = f.sigmoid().to(c.dtype) * c + (i.sigmoid() * g.tanh()).to(c.dtype)
    return o.sigmoid() * c.tanh().to(o.dtype), c
