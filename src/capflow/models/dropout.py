"""Dropout that costs processors little."""

import torch
from torch import Tensor, nn

_PARTS = 1 << 16


class Dropout(nn.Dropout):
    """Zeros drawn at random, all else larger by 1 / (1 - p) (Srivastava et al., JMLR 2014).

    On a processor PyTorch draws a number of 64 bits for each value, and takes longer for that than most
    products do. Here 16 bits make each decision, with p rounded to 1 / 65,536.
    """

    def __init__(self, p: float) -> None:
        """Drop the share ``p``."""
        super().__init__(p)

    def forward(self, values: Tensor) -> Tensor:
        """[...] from [...]."""
        if not self.training or not 0 < self.p < 1 or values.device.type != "cpu":
            return super().forward(values)
        dropped = min(round(self.p * _PARTS), _PARTS - 1)
        kept = _random(values.numel()).view(values.shape) >= dropped - _PARTS // 2
        return values * kept.to(values.dtype).mul_(_PARTS / (_PARTS - dropped))


def _random(count: int) -> Tensor:
    """All int16 numbers are as likely, int16 [count]."""
    drawn = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(1 << 63), None)
    return drawn.view(torch.int16)[:count]
