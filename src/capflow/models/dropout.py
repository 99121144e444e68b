"""Dropout that costs processors little."""

import torch
from torch import Tensor, nn

_PARTS = 1 << 16


class Dropout(nn.Dropout):
    """Zeros drawn at random, all else larger by 1 / (1 - p) (Srivastava et al., JMLR 2014).

    On a processor PyTorch draws a number of 64 bits for each value, and takes longer for that than most
    products do. Here 16 bits make each decision, with p rounded to 1 / 65,536.
    """

    def forward(self, values: Tensor) -> Tensor:
        """[...] from [...]."""
        if not self.training or not self.p or values.device.type != "cpu":
            return super().forward(values)
        least = min(round(self.p * _PARTS), _PARTS - 1) - _PARTS // 2
        kept = _random(values.numel()).view(values.shape) >= least
        return values * kept.to(values.dtype).div_(1 - self.p)


def _random(count: int) -> Tensor:
    """All int16 numbers are as likely, int16 [count]."""
    drawn = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(1 << 63), None)
    return drawn.view(torch.int16)[:count]
