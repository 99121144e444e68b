"""Captions drawn at random, many pictures and captions at a time, without a gradient."""

from dataclasses import dataclass

import torch
from torch import Tensor

from capflow.models.decoder import Seen, Speaker
from capflow.models.rules import Rules, may_ask
from capflow.text.vocabulary import PAD


@dataclass(frozen=True, kw_only=True)
class Sampling(Rules):
    """What may be said, and which words are drawn from.

    Attributes:
        temperature: words are drawn with probabilities ~ p ** (1 / temperature).
        top_k: only the ``top_k`` likeliest words are drawn (Fan, Lewis, Dauphin, ACL 2018); 0: all.
        top_p: of those only the likeliest that have ``top_p`` of the probability together (Holtzman
            et al.: The Curious Case of Neural Text Degeneration, ICLR 2020); 1: all.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0


@torch.no_grad()
def sample(
    speaker: Speaker[Seen], features: Seen, sampling: Sampling, count: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Draw captions of each picture.

    Each picture takes ``count * max_length`` numbers of the generator, so that its captions do not
    depend on the pictures beside it, but for the rounding of probabilities.

    Args:
        speaker: in evaluation mode.
        features: what it sees of B pictures.
        sampling: what may be said, and which words are drawn from.
        count: captions of each picture.
        generator: of the CPU, whatever the device is: the same seed draws the same captions there.

    Returns:
        int64 [B, count, max_length + 1], the words, then the end token up to the end of the row; and
        float [B, count, max_length], log p of each of these tokens that was drawn, else 0. It is that of
        the decoder, of all words but the barred ones, whichever of them are drawn from.
    """
    state = speaker.init(features)
    shape = (len(state), count, sampling.max_length)
    chances = torch.rand(shape, generator=generator).to(state.device).flatten(0, 1)
    state = state.repeat(count)
    said = torch.full((len(state), sampling.max_length + 2), sampling.end, device=state.device)
    said[:, 0] = sampling.start
    scores = torch.zeros_like(chances)
    rows = torch.arange(len(state), device=state.device)  # the captions that the state is about
    for place in range(sampling.max_length):
        before = said[rows, : place + 1]
        logits, state = speaker.step(before[:, -1], state)
        log_p = sampling.restrict(sampling.log_p(logits), before)
        done = before[:, -1] == sampling.end
        word = _draw(log_p, chances[rows, place], sampling).masked_fill_(done, sampling.end)
        said[rows, place + 1] = word
        scores[rows, place] = log_p.gather(1, word[:, None])[:, 0].masked_fill_(done, 0)
        if may_ask(place, state.device):
            going = _going_on(word.view(shape[0], -1) != sampling.end)
            if not len(going):
                break
            state, rows = state.select(going), rows[going]
    return said[:, 1:].view(*shape[:2], -1), scores.view(shape)


def end_once(said: Tensor, end: int) -> Tensor:
    """Captions with padding behind their first end, int64 [..., T]."""
    ends = said == end
    return said.masked_fill((ends.int().cumsum(-1) - ends.int()) > 0, PAD)


def skip(pictures: int, sampling: Sampling, count: int, generator: torch.Generator) -> None:
    """Pass over the random numbers of pictures whose captions another process draws."""
    torch.rand(pictures * count * sampling.max_length, generator=generator)


def _going_on(more: Tensor) -> Tensor:
    """The candidates to go on with: all that have more to say, and as many of each picture.

    Args:
        more: bool [B, K], whether each candidate of each picture has more to say.

    Returns:
        int64 [B * W], their rows among the B * K, in the order of pictures.
    """
    width = int(more.sum(1).max())
    first = torch.arange(len(more), device=more.device)[:, None] * more.shape[1]
    chosen: Tensor = first + more.int().argsort(dim=1, descending=True, stable=True)[:, :width]
    return chosen.flatten()


def _draw(log_p: Tensor, chance: Tensor, sampling: Sampling) -> Tensor:
    """A word for each row of [R, words]: the one where ``chance``, float [R] in [0, 1), falls."""
    log_p, words = _likeliest(log_p / sampling.temperature, sampling)
    p = log_p.softmax(-1)
    if sampling.top_p < 1:
        p = p.masked_fill(p.cumsum(-1) - p >= sampling.top_p, 0)
    reach = p.cumsum(-1)
    # A number below 1 times the whole is below the whole in float32, too: some word is always reached.
    place = torch.searchsorted(reach, chance[:, None] * reach[:, -1:], right=True)
    # Where numbers are none, the end of the row is passed; the loss will tell of them.
    place.clamp_(max=p.shape[1] - 1)
    return (place if words is None else words.gather(1, place))[:, 0]


def _likeliest(log_p: Tensor, sampling: Sampling) -> tuple[Tensor, Tensor | None]:
    """The words that are drawn from, likeliest first, and which they are; None: all in their order."""
    if sampling.top_k:
        return log_p.topk(min(sampling.top_k, log_p.shape[1]), -1)
    if sampling.top_p < 1:
        return log_p.sort(-1, descending=True)
    return log_p, None
