"""The search for a caption, many pictures at a time; a beam of one is greedy search."""

from dataclasses import dataclass

import torch
from torch import Tensor

from capflow.models.decoder import Decoder


@dataclass(frozen=True)
class Search:
    """What may be said and how hard to look for it.

    Attributes:
        start: the token before the first word.
        end: the token after the last word.
        barred: tokens that are never said.
        beam: how many candidates are kept for each picture.
        max_length: the most words in a caption.
        length_penalty: candidates are compared by log p / length ** length_penalty.
    """

    start: int
    end: int
    barred: tuple[int, ...]
    beam: int
    max_length: int
    length_penalty: float


@dataclass
class _Beams:
    """All candidates of all pictures; B pictures, K candidates.

    ``tokens`` int64 [B, K, t], ``scores`` [B, K] (log p), ``lengths`` [B, K] (words and end token),
    ``done`` bool [B, K].
    """

    tokens: Tensor
    scores: Tensor
    lengths: Tensor
    done: Tensor


@torch.inference_mode()
def generate(decoder: Decoder, features: Tensor, search: Search) -> tuple[Tensor, Tensor]:
    """The best caption of each picture.

    A candidate that ends keeps its place and the beam goes on with one place less, as in the beam
    search of Show, Attend and Tell (Xu et al., ICML 2015). Candidates that never ended count only
    where none did.

    Args:
        decoder: in evaluation mode.
        features: float [B, cells, channels].
        search: what may be said.

    Returns:
        int64 [B, max_length + 1], the words, then the end token up to the end of the row; and
        float [B], log p of each caption.
    """
    count, width = len(features), search.beam
    pictures = torch.arange(count, device=features.device)[:, None]
    state = decoder.init(features).select(pictures.expand(-1, width).flatten())
    beams = _start(count, width, search, features.device)
    for _ in range(search.max_length):
        logits, state = decoder.step(beams.tokens[:, :, -1].flatten(), state)
        logits[:, list(search.barred)] = -torch.inf
        gains = torch.log_softmax(logits.float(), -1).view(count, width, -1)
        parents = _advance(beams, gains, search)
        if bool(beams.done.all()):
            break
        state = state.select((pictures * width + parents).flatten())
    return _best(beams, search)


def _start(count: int, width: int, search: Search, device: torch.device) -> _Beams:
    scores = torch.full((count, width), -torch.inf, device=device)
    scores[:, 0] = 0  # all candidates are equal at first: only one of them may grow
    return _Beams(
        torch.full((count, width, 1), search.start, device=device),
        scores,
        torch.zeros(count, width, device=device),
        torch.zeros(count, width, dtype=torch.bool, device=device),
    )


def _advance(beams: _Beams, gains: Tensor, search: Search) -> Tensor:
    """Let every open candidate grow by a word.

    Returns:
        int64 [B, K], the candidate that each new one grew from.
    """
    width, words = gains.shape[1:]
    totals = (beams.scores[:, :, None] + gains).masked_fill(beams.done[:, :, None], -torch.inf)
    best, place = totals.flatten(1).topk(width, -1)
    # Finished candidates move to the front and stay; the best open ones fill the other places.
    order = beams.done.int().argsort(dim=1, descending=True, stable=True)
    rank = torch.arange(width, device=gains.device) - beams.done.sum(1, keepdim=True)
    kept, fresh = rank < 0, rank.clamp(min=0)
    parents = torch.where(kept, order, place.gather(1, fresh) // words)
    token = torch.where(kept, search.end, place.gather(1, fresh) % words)
    history = beams.tokens.gather(1, parents[:, :, None].expand(-1, -1, beams.tokens.shape[2]))
    beams.tokens = torch.cat([history, token[:, :, None]], 2)
    beams.scores = torch.where(kept, beams.scores.gather(1, order), best.gather(1, fresh))
    beams.lengths = beams.lengths.gather(1, parents) + (~kept)
    beams.done = kept | (token == search.end)
    return parents


def _best(beams: _Beams, search: Search) -> tuple[Tensor, Tensor]:
    values = beams.scores / beams.lengths.clamp(min=1) ** search.length_penalty
    ended = beams.done | ~beams.done.any(1, keepdim=True)
    winner = values.masked_fill(~ended, -torch.inf).argmax(1)
    rows = torch.arange(len(winner), device=winner.device)
    tokens = beams.tokens[rows, winner, 1:]
    padding = search.max_length + 1 - tokens.shape[1]
    return torch.nn.functional.pad(tokens, (0, padding), value=search.end), beams.scores[rows, winner]
