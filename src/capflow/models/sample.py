"""Captions drawn at random, many of each picture, as likely as the model holds them to be."""

import torch
from torch import Tensor

from capflow.models.decoder import Decoder
from capflow.models.generate import Search


@torch.no_grad()
def sample(
    decoder: Decoder, features: Tensor, search: Search, count: int, generator: torch.Generator
) -> Tensor:
    """Draw captions word by word.

    Args:
        decoder: in evaluation mode.
        features: float [P, cells, channels].
        search: what may be said, and how much of it.
        count: how many captions of each picture.
        generator: on the device of ``features``.

    Returns:
        int64 [P, count, T], words, then the end token up to the end of the row; T is ``max_length`` at
        most, and captions of so many words have no end.
    """
    pictures = torch.arange(len(features), device=features.device)
    state = decoder.init(features).select(pictures.repeat_interleave(count))
    token = pictures.new_full((len(features) * count,), search.start)
    ended = torch.zeros_like(token, dtype=torch.bool)
    said = []
    for _ in range(search.max_length):
        logits, state = decoder.step(token, state)
        logits[:, list(search.barred)] = -torch.inf
        token = torch.where(ended, search.end, _draw(logits.float(), generator))
        said.append(token)
        ended = ended | (token == search.end)
        if bool(ended.all()):
            break
    return torch.stack(said, 1).view(len(features), count, -1)


def _draw(logits: Tensor, generator: torch.Generator) -> Tensor:
    """A word for each row, int64 [B], by its probability: the Gumbel-max trick (Gumbel, 1954).

    Unlike ``torch.multinomial``, it takes logits that are no numbers, which the loss will tell of.
    """
    # On a processor, uniform numbers and two logarithms take a quarter of the time of exponential ones.
    uniform = torch.rand(logits.shape, generator=generator, device=logits.device)
    return (logits - uniform.log_().neg_().log_()).argmax(-1)
