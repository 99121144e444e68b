"""Captions as text: what is searched for, or drawn, for many pictures, and its words."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from capflow.bars import bar
from capflow.models.decoder import Seen, Speaker
from capflow.models.generate import Search, candidates
from capflow.models.inputs import Rows
from capflow.models.rules import Rules
from capflow.models.sampling import Sampling, end_once, sample, skip
from capflow.params import GenerateParams
from capflow.processes import ALONE, Processes
from capflow.text.vocabulary import END, PAD, START, UNK, Vocabulary

Agree = Callable[[NDArray[np.int64], int, Seen], NDArray[np.float64]]
"""How much captions, int64 [B, K, T] and padded, seen so, agree with the last few, if any are: [B, K]."""
Hint = Callable[[Seen], Tensor]
"""What it is worth to say each word of pictures seen so, in log p: float [B, words]."""


@dataclass(frozen=True)
class Advice(Generic[Seen]):
    """What others than the models have to say about captions.

    Attributes:
        agree: by which a consensus is found, where that is asked for.
        hint: what a search goes by beside log p.
    """

    agree: Agree[Seen] | None = None
    hint: Hint[Seen] | None = None


class Caption(NamedTuple):
    """A caption and its log p, without hints; where a consensus chose it, what it was chosen by."""

    text: str
    log_p: float


def search_of(params: GenerateParams) -> Search:
    """The search that the parameters ask for."""
    return Search(
        **vars(_rules_of(params)),
        beam=params.beam,
        length_penalty=params.length_penalty,
        groups=params.groups,
        diversity=params.diversity,
    )


def sampling_of(params: GenerateParams) -> Sampling:
    """The sampling that the parameters ask for, under the rules of the search."""
    return Sampling(
        **vars(_rules_of(params)),
        temperature=params.temperature,
        top_k=params.top_k,
        top_p=params.top_p,
    )


def _rules_of(params: GenerateParams) -> Rules:
    """The rules of both; padding, start and unknown words are never said."""
    return Rules(
        start=START,
        end=END,
        barred=(PAD, START, UNK),
        max_length=params.max_length,
        min_length=params.min_length,
        no_repeat=params.no_repeat,
    )


class Writer(Generic[Seen]):
    """Writes captions as the parameters ask, batch after batch; one seed serves all batches."""

    def __init__(
        self,
        speaker: Speaker[Seen],
        vocabulary: Vocabulary,
        params: GenerateParams,
        advice: Advice[Seen] = Advice(),
    ) -> None:
        """Prepare.

        Args:
            speaker: in evaluation mode.
            vocabulary: its own.
            params: how to search, or how to draw, and from which seed.
            advice: what others have to say.
        """
        if params.method == "consensus" and advice.agree is None:
            raise ValueError("a consensus needs to know how much captions agree")
        if params.method != "sample" and params.hints and advice.hint is None:
            raise ValueError("hints are asked for, and nobody gives them")
        self.speaker, self.vocabulary, self.params, self._advice = speaker, vocabulary, params, advice
        self.generator = torch.Generator().manual_seed(params.seed)

    def __call__(self, features: Seen, count: int = 1) -> list[list[Caption]]:
        """At most ``count`` different captions of each picture, from best to worst.

        There are fewer where the beam is narrower, or where the same ones came again.
        """
        tokens, scores = self._say(features, count)
        return [
            self._first(count, *picture) for picture in zip(tokens.tolist(), scores.tolist(), strict=True)
        ]

    def skip(self, pictures: int) -> None:
        """Leave out so many pictures, which somebody else captions."""
        if self.params.method != "beam":
            drawn = 1 if self.params.method == "sample" else self.params.drawn
            skip(pictures, sampling_of(self.params), drawn, self.generator)

    def _say(self, features: Seen, count: int) -> tuple[Tensor, Tensor]:
        """Tokens int64 [B, N, max_length + 1] and what they are ranked by, [B, N], from best to worst."""
        if self.params.method == "beam":
            return self._find(features)
        agree = self._advice.agree
        if self.params.method == "sample" or agree is None:  # a consensus always has it
            return _ranked(*self._draw(features, count))
        tokens, log_p = self._find(features)
        if self.params.drawn:
            drawn, likely = self._draw(features, self.params.drawn)
            tokens, log_p = torch.cat([tokens, drawn], 1), torch.cat([log_p, likely], 1)
        # Behind the greatest length there is always an end: a caption that was cut has none of its own.
        said = end_once(tokens[..., :-1], END).cpu().numpy()
        # What a search finds is no sample of what the model may say: it has no vote, but may be chosen.
        agreement = torch.from_numpy(agree(said, self.params.drawn, features))
        wanted = agreement.to(log_p) + self.params.likelihood * log_p
        # A candidate that the search has not found has a log p of -inf: never chosen, whatever log p counts.
        return _ranked(tokens, wanted.masked_fill(log_p.isneginf(), -torch.inf))

    def _find(self, features: Seen) -> tuple[Tensor, Tensor]:
        hints = self._advice.hint(features) if self._advice.hint else None
        return candidates(self.speaker, features, search_of(self.params), hints)

    def _draw(self, features: Seen, count: int) -> tuple[Tensor, Tensor]:
        tokens, log_p = sample(self.speaker, features, sampling_of(self.params), count, self.generator)
        return tokens, log_p.sum(-1)

    def _first(self, count: int, tokens: list[list[int]], scores: list[float]) -> list[Caption]:
        found: dict[str, float] = {}
        for said, score in zip(tokens, scores, strict=True):
            if len(found) == count or score == -np.inf:
                break
            found.setdefault(self.vocabulary.decode(said), score)
        return [Caption(*caption) for caption in found.items()]


def _ranked(tokens: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
    scores, order = scores.sort(dim=-1, descending=True, stable=True)
    return tokens.gather(1, order[:, :, None].expand_as(tokens)), scores


@torch.inference_mode()
def write_captions(
    speaker: Speaker[Seen],
    ids: Sequence[int],
    inputs: Callable[[Rows], Seen],
    vocabulary: Vocabulary,
    params: GenerateParams,
    processes: Processes = ALONE,
    advice: Advice[Seen] = Advice(),
) -> dict[int, str]:
    """The caption of each picture, by image id, in the order of ``ids``.

    Args:
        speaker: in evaluation mode.
        ids: int [N], the image id of each row of ``inputs``.
        inputs: what the speaker sees of pictures, given their rows.
        vocabulary: the model's own.
        params: how to search, and how many pictures at a time.
        processes: those that take turns; each gets all captions.
        advice: what others than the speaker have to say about captions.
    """
    captions: dict[int, str] = {}
    write, place = Writer(speaker, vocabulary, params, advice), 0
    starts = range(0, len(ids), params.batch_size)
    for start, _ in bar(processes.turns(starts), "captions", -(-len(starts) // processes.count), "batch"):
        write.skip(start - place)
        chosen = ids[start : start + params.batch_size]
        place = start + len(chosen)
        written = write(inputs(np.arange(start, place)))
        captions |= zip(chosen, (best.text for best, *_ in written), strict=True)
    said = dict(pair for each in processes.gathered([*captions.items()]) for pair in each)
    return {image: said[image] for image in ids}
