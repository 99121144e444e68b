"""Few different shapes of products.

For each new shape of a product in bf16 a processor's library compiles a program, which takes some 15 ms, more
than most of the products themselves. Batches of captions have a new number of words nearly every time; so
rows without a meaning fill them up.
"""

BLOCK = 16
"""Captions that are read to the same end: a tile of AMX has as many rows."""
_ROWS = 64


def rounded(rows: int) -> int:
    """The number of rows to compute with, where ``rows`` of them have a meaning."""
    return -(-rows // _ROWS) * _ROWS
