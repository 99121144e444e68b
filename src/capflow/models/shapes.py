"""Few different shapes of products.

For each new shape of a product in bf16 a processor's library compiles a program, which takes some 15 ms, more
than most of the products themselves, and keeps it, some 0.6 MB. Batches of captions have a new number of
words nearly every time; so, where processors compute in bf16, rows without a meaning fill them up.
"""

import torch

_BLOCK, _ROWS = 16, 64


def block() -> int:
    """How many captions are read to the same end: as many as a tile of AMX has rows, or 1."""
    return _BLOCK if _compiled() else 1


def rounded(rows: int) -> int:
    """The number of rows to compute with, where ``rows`` of them have a meaning."""
    return rows + (-rows) % multiple()


def multiple() -> int:
    """What such numbers are multiples of."""
    return _ROWS if _compiled() else 1


def _compiled() -> bool:
    return torch.is_autocast_enabled("cpu")
