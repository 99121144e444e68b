"""The search for a caption, many pictures at a time; a beam of one is greedy search."""

from dataclasses import dataclass

import torch
from torch import Tensor

from capflow.models.decoder import Seen, Speaker
from capflow.models.rules import Rules, may_ask


@dataclass(frozen=True, kw_only=True)
class Search(Rules):
    """What may be said and how hard to look for it.

    Attributes:
        beam: how many candidates are kept for each picture.
        length_penalty: candidates are compared by log p / length ** length_penalty; with hints what they are
            worth is part of log p here.
        groups: the beam is searched in so many equal groups, each unlike those before it.
        diversity: what a word costs, in log p, each time that an earlier group chose it in this step.
    """

    beam: int
    length_penalty: float
    groups: int = 1
    diversity: float = 0.0


@dataclass
class _Beams:
    """The candidates of a group, of all pictures; B pictures, K candidates.

    ``tokens`` int64 [B, K, t], ``scores`` [B, K] (log p; -inf: there is no such candidate), ``lengths``
    [B, K] (words and end token), ``done`` bool [B, K].
    """

    tokens: Tensor
    scores: Tensor
    lengths: Tensor
    done: Tensor


def generate(speaker: Speaker[Seen], features: Seen, search: Search) -> tuple[Tensor, Tensor]:
    """The best caption of each picture: the first of its :func:`candidates`.

    Returns:
        int64 [B, max_length + 1], the words, then the end token up to the end of the row; and
        float [B], log p of each caption.
    """
    tokens, scores = candidates(speaker, features, search)
    return tokens[:, 0], scores[:, 0]


@torch.inference_mode()
def candidates(
    speaker: Speaker[Seen], features: Seen, search: Search, hints: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """All captions that the beam ends with, those of each picture from best to worst.

    A candidate that ends keeps its place and the beam goes on with one place less, as in the beam
    search of Show, Attend and Tell (Xu et al., ICML 2015). Candidates that never ended come last.

    With ``groups`` it is diverse beam search (Vijayakumar et al., AAAI 2018, with Hamming diversity): a
    group chooses words w by log p(w) - diversity * (how often earlier groups chose w in this step), and
    goes on with their log p alone. Groups may end with the same caption.

    With ``hints`` the search is for the caption of the highest log p + what its words are worth, each
    once, in place of log p.

    Args:
        speaker: in evaluation mode.
        features: what it sees of B pictures, such as float [B, cells, channels].
        search: what may be said.
        hints: float [B, words], what it is worth to say each word of each picture, in log p.

    Returns:
        int64 [B, beam, max_length + 1], the words, then the end token up to the end of the row; and
        float [B, beam], log p of each caption, without hints, -inf where there are fewer.
    """
    state = speaker.init(features)
    groups = [_start(len(state), search, state.device) for _ in range(search.groups)]
    first = torch.arange(len(state), device=state.device)[:, None] * search.beam
    state = state.repeat(search.beam)
    for place in range(search.max_length):
        said = torch.cat([beams.tokens for beams in groups], 1).flatten(0, 1)
        logits, state = speaker.step(said[:, -1], state)
        gains = search.restrict(search.log_p(logits), said)
        if hints is not None:
            gains += hints.repeat_interleave(search.beam, 0).scatter_(1, said, 0)  # each word once
        parents = _advance(groups, gains.view(-1, search.beam, logits.shape[1]), search)
        if may_ask(place, state.device) and all(bool(beams.done.all()) for beams in groups):
            break
        state = state.select((first + parents).flatten())
    tokens, scores = _ranked(groups, search)
    return tokens, scores if hints is None else scores - _worth(tokens, hints)


def _start(count: int, search: Search, device: torch.device) -> _Beams:
    width = search.beam // search.groups
    scores = torch.full((count, width), -torch.inf, device=device)
    scores[:, 0] = 0  # all candidates are equal at first: only one of them may grow
    return _Beams(
        torch.full((count, width, 1), search.start, device=device),
        scores,
        torch.zeros(count, width, device=device),
        torch.zeros(count, width, dtype=torch.bool, device=device),
    )


def _advance(groups: list[_Beams], gains: Tensor, search: Search) -> Tensor:
    """Let every open candidate grow by a word, one group after another.

    Returns:
        int64 [B, beam], the candidate that each new one grew from.
    """
    width = search.beam // search.groups
    parents = []
    for number, (beams, gain) in enumerate(zip(groups, torch.split(gains, width, 1), strict=True)):
        totals = (beams.scores[:, :, None] + gain).masked_fill(beams.done[:, :, None], -torch.inf)
        wanted = totals
        if number:
            wanted = totals - search.diversity * _taken(groups[:number], gains.shape[2], search.end)
        parents.append(_grow(beams, totals, wanted, search.end) + number * width)
    return torch.cat(parents, 1)


def _taken(groups: list[_Beams], words: int, end: int) -> Tensor:
    """How often groups chose each word in this step, float [B, 1, words]."""
    last = torch.cat([beams.tokens[:, :, -2:] for beams in groups], 1)
    scores = torch.cat([beams.scores for beams in groups], 1)
    grew = (last[:, :, 0] != end) & ~scores.isneginf()
    counts = scores.new_zeros(len(last), words)
    return counts.scatter_add_(1, last[:, :, 1], grew.to(counts.dtype))[:, None]


def _grow(beams: _Beams, totals: Tensor, wanted: Tensor, end: int) -> Tensor:
    """Let a group grow by the words that are ``wanted`` most, [B, K, words]; their log p is in ``totals``.

    Returns:
        int64 [B, K], the candidate of the group that each new one grew from.
    """
    width, words = totals.shape[1:]
    place = wanted.flatten(1).topk(width, -1).indices
    # Finished candidates move to the front and stay; the best open ones fill the other places.
    order = beams.done.int().argsort(dim=1, descending=True, stable=True)
    rank = torch.arange(width, device=totals.device) - beams.done.sum(1, keepdim=True)
    kept, place = rank < 0, place.gather(1, rank.clamp(min=0))
    parents = torch.where(kept, order, place // words)
    token = torch.where(kept, end, place % words)
    history = beams.tokens.gather(1, parents[:, :, None].expand(-1, -1, beams.tokens.shape[2]))
    beams.tokens = torch.cat([history, token[:, :, None]], 2)
    beams.scores = torch.where(kept, beams.scores.gather(1, order), totals.flatten(1).gather(1, place))
    beams.lengths = beams.lengths.gather(1, parents) + (~kept)
    # What there is none of has no end: it must not keep a place from those that come.
    beams.done = kept | ((token == end) & ~beams.scores.isneginf())
    return parents


def _worth(said: Tensor, hints: Tensor) -> Tensor:
    """What the words of captions are worth, float [B, K], each once; ``said`` is int64 [B, K, T]."""
    spoken = hints.new_zeros(*said.shape[:2], hints.shape[1]).scatter_(2, said, 1)
    return torch.einsum("bkw,bw->bk", spoken, hints)


def _ranked(groups: list[_Beams], search: Search) -> tuple[Tensor, Tensor]:
    """The tokens and scores of all groups, from best to worst; what never ended comes after what did."""
    scores = torch.cat([beams.scores for beams in groups], 1)
    lengths = torch.cat([beams.lengths for beams in groups], 1)
    done = torch.cat([beams.done for beams in groups], 1)
    values = scores / lengths.clamp(min=1) ** search.length_penalty
    order = values.argsort(dim=1, descending=True, stable=True)
    order = order.gather(1, done.gather(1, order).int().argsort(dim=1, descending=True, stable=True))
    tokens = torch.cat([beams.tokens[:, :, 1:] for beams in groups], 1)
    tokens = tokens.gather(1, order[:, :, None].expand_as(tokens))
    padding = search.max_length + 1 - tokens.shape[2]
    return torch.nn.functional.pad(tokens, (0, padding), value=search.end), scores.gather(1, order)
