"""The layers of the Transformer, over rows of values that stand in grids.

Norms, products and feed-forward layers work on rows alone, so that little work goes to padding; only the
attention itself sees the grid (:class:`capflow.models.grouping.Grid`).
"""

import math

import torch
from torch import Tensor, nn

from capflow.models.dropout import Dropout
from capflow.models.grouping import Grid


class SelfAttention(nn.Module):
    """Attention among the rows of each group."""

    def __init__(self, width: int, heads: int) -> None:
        """Build it for rows of ``width``."""
        super().__init__()
        self.heads = heads
        self.inputs = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)

    def forward(self, rows: Tensor, grid: Grid, *, causal: bool) -> Tensor:
        """[R, width] from [R, width]; ``causal``: each row sees only itself and those before it."""
        queries, seen = self._split(grid.spread(self.inputs(rows)))
        said: Tensor = self.output(grid.collect(attend(queries, seen, self.heads, causal=causal)))
        return said

    def step(self, rows: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """The next word of each candidate.

        Args:
            rows: [B, width].
            past: [B, words, 2 width], keys and values of the words before.

        Returns:
            [B, width], and ``past`` with one word more.
        """
        queries, fresh = self._split(self.inputs(rows)[:, None])
        past = torch.cat([past, fresh], 1)
        return self.output(attend(queries, past, self.heads).squeeze(1)), past

    def _split(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Queries, [..., width], and keys and values, [..., 2 width]."""
        width = inputs.shape[-1] // 3
        return inputs[..., :width], inputs[..., width:]


class CrossAttention(nn.Module):
    """Attention from words to the cells of their picture."""

    def __init__(self, width: int, heads: int) -> None:
        """Build it for rows of ``width``."""
        super().__init__()
        self.heads = heads
        self.queries = nn.Linear(width, width)
        self.cells = nn.Linear(width, 2 * width)
        self.output = nn.Linear(width, width)

    def forward(self, rows: Tensor, cells: Tensor, grid: Grid) -> Tensor:
        """[R, width] from [R, width] and keys and values of cells, [groups, cells, 2 width]."""
        queries = grid.spread(self.queries(rows))
        seen: Tensor = self.output(grid.collect(attend(queries, cells, self.heads)))
        return seen

    def weights(self, rows: Tensor, cells: Tensor, grid: Grid) -> Tensor:
        """What :meth:`forward` weights the cells with, [R, cells], the mean of all heads."""
        queries = _by_head(grid.spread(self.queries(rows)), self.heads)
        keys = _by_head(cells.chunk(2, -1)[0], self.heads)
        return grid.collect(_energy(queries, keys).softmax(-1).mean(1))


class EncoderLayer(nn.Module):
    """Cells look at each other."""

    def __init__(self, width: int, heads: int, hidden: int, dropout: float) -> None:
        """Build it for rows of ``width``, with a feed-forward layer of ``hidden``."""
        super().__init__()
        self.attention_norm, self.feed_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = SelfAttention(width, heads)
        self.feed = feed_forward(width, hidden, dropout)
        self.dropout = Dropout(dropout)

    def forward(self, rows: Tensor, grid: Grid) -> Tensor:
        """[R, width] from cells, [R, width], a group of ``grid`` for each picture."""
        rows = rows + self.dropout(self.attention(self.attention_norm(rows), grid, causal=False))
        fed: Tensor = rows + self.dropout(self.feed(self.feed_norm(rows)))
        return fed


class DecoderLayer(nn.Module):
    """Words look at those before them, and at the cells."""

    def __init__(self, width: int, heads: int, hidden: int, dropout: float) -> None:
        """Build it for rows of ``width``, with a feed-forward layer of ``hidden``."""
        super().__init__()
        self.words_norm, self.cells_norm, self.feed_norm = (nn.LayerNorm(width) for _ in range(3))
        self.words = SelfAttention(width, heads)
        self.cells = CrossAttention(width, heads)
        self.feed = feed_forward(width, hidden, dropout)
        self.dropout = Dropout(dropout)

    def look(self, cells: Tensor) -> Tensor:
        """What this layer sees of pictures, [P, cells, 2 width], from [P, cells, width]."""
        seen: Tensor = self.cells.cells(cells)
        return seen

    def forward(self, rows: Tensor, seen: Tensor, words: Grid, looks: Grid) -> Tensor:
        """Whole captions.

        Args:
            rows: [R, width], words.
            seen: of :meth:`look`, a picture for each group of ``looks``.
            words: a grid with a group for each caption.
            looks: a grid of the same words, with a group for each picture.
        """
        return self._look(self._listen(rows, words), seen, looks)

    def weights(self, rows: Tensor, seen: Tensor, words: Grid, looks: Grid) -> Tensor:
        """What :meth:`forward` weights the cells with, [R, cells]."""
        return self.cells.weights(self.cells_norm(self._listen(rows, words)), seen, looks)

    def step(self, rows: Tensor, past: Tensor, seen: Tensor, looks: Grid) -> tuple[Tensor, Tensor]:
        """The next word of each candidate, as :meth:`SelfAttention.step`, and what it sees."""
        said, past = self.words.step(self.words_norm(rows), past)
        return self._look(rows + self.dropout(said), seen, looks), past

    def _listen(self, rows: Tensor, words: Grid) -> Tensor:
        said: Tensor = self.dropout(self.words(self.words_norm(rows), words, causal=True))
        return rows + said

    def _look(self, rows: Tensor, seen: Tensor, looks: Grid) -> Tensor:
        rows = rows + self.dropout(self.cells(self.cells_norm(rows), seen, looks))
        fed: Tensor = rows + self.dropout(self.feed(self.feed_norm(rows)))
        return fed


def feed_forward(width: int, hidden: int, dropout: float) -> nn.Sequential:
    """Two layers with ReLU in between, as in Vaswani et al."""
    return nn.Sequential(
        nn.Linear(width, hidden), nn.ReLU(inplace=True), Dropout(dropout), nn.Linear(hidden, width)
    )


def attend(queries: Tensor, seen: Tensor, heads: int, *, causal: bool = False) -> Tensor:
    """Scaled dot-product attention in each of N groups.

    On processors it is written out: there the gradient of PyTorch's own takes six times as long.

    Args:
        queries: [N, Q, width].
        seen: [N, S, 2 width], keys and values.
        heads: into how many parts each row is split.
        causal: each query sees only the rows up to its own.

    Returns:
        [N, Q, width].
    """
    keys, values = (_by_head(rows, heads) for rows in seen.chunk(2, -1))
    asked = _by_head(queries, heads)
    if queries.device.type == "cpu":
        read = _written_out(asked, keys, values, causal=causal)
    else:
        read = nn.functional.scaled_dot_product_attention(asked, keys, values, is_causal=causal)
    return read.transpose(1, 2).flatten(2)


def _written_out(queries: Tensor, keys: Tensor, values: Tensor, *, causal: bool) -> Tensor:
    energy = _energy(queries, keys)
    if causal:
        energy = energy.masked_fill(torch.ones(energy.shape[2:], dtype=torch.bool).triu(1), -torch.inf)
    return energy.softmax(-1).to(values.dtype) @ values


def _energy(queries: Tensor, keys: Tensor) -> Tensor:
    """How well queries and keys go together, q k / sqrt(d / heads), [N, heads, Q, S]."""
    return queries @ keys.transpose(2, 3) / math.sqrt(queries.shape[3])


def _by_head(rows: Tensor, heads: int) -> Tensor:
    """[N, heads, S, width / heads] from [N, S, width]."""
    return rows.view(*rows.shape[:2], heads, -1).transpose(1, 2)


def sinusoids(place: Tensor, width: int) -> Tensor:
    """Positions as Vaswani et al. have them, sines before cosines: float [R, width] from int64 [R]."""
    frequency = torch.arange(0, width, 2, device=place.device) * (-math.log(10_000) / width)
    angle = place[:, None] * frequency.exp()
    return torch.cat([angle.sin(), angle.cos()], 1)[:, :width]
