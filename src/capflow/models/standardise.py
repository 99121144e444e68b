"""Batch normalisation of what decoders see of pictures."""

from torch import Tensor, nn


class Standardise(nn.BatchNorm1d):
    """Batch normalisation that also takes a batch of one, which batches of one caption length end in.

    One row has no variance of its own: it is standardised as in evaluation, by what was seen before.
    """

    def forward(self, values: Tensor) -> Tensor:
        """Standardise float [..., channels], each channel by itself."""
        rows = values.flatten(0, -2)
        if len(rows) > 1:
            return super().forward(rows).view_as(values)
        alone = nn.functional.batch_norm(
            rows, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
        )
        return alone.view_as(values)


def standardise(channels: int, *, wanted: bool) -> nn.Module:
    """What ``decoder.batch_norm`` asks for."""
    return Standardise(channels) if wanted else nn.Identity()
