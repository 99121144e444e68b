"""Several models of one vocabulary that speak together, as one decoder does."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from capflow.errors import CapflowError
from capflow.models.captioner import Captioner, load_captioner
from capflow.models.decoder import Decoder, State
from capflow.text.vocabulary import Vocabulary


class Ensemble:
    """The mean of the probabilities that its members give a word, each of what it sees itself.

        p(w | words, picture) = 1 / M sum_m p_m(w | words, f_m(picture))

    An ensemble of one says just what its member says.
    """

    def __init__(self, members: Iterable[Decoder]) -> None:
        """Speak together; all members are in evaluation mode, on one device."""
        self.members = tuple(members)

    def init(self, features: Sequence[Tensor]) -> State:
        """The members' states beside each other, after looking at [P, cells, channels] of each member."""
        pairs = zip(self.members, features, strict=True)
        return _joined([member.init(seen) for member, seen in pairs])

    def step(self, token: Tensor, state: State) -> tuple[Tensor, State]:
        """Log of the mean probability of each word, float [B, words], and the new state."""
        parts = [_part(state, number) for number in range(len(self.members))]
        told = [member.step(token, part) for member, part in zip(self.members, parts, strict=True)]
        return _mean([logits for logits, _ in told]), _joined([part for _, part in told])


def _mean(logits: list[Tensor]) -> Tensor:
    if len(logits) == 1:
        return logits[0]
    log_p = torch.stack([one.float().log_softmax(-1) for one in logits])
    return log_p.logsumexp(0) - math.log(len(logits))


def _joined(states: Sequence[State]) -> State:
    """One state with the tensors of all, ``<member>.<name>``."""
    return State(
        *(
            {f"{number}.{name}": value for number, part in enumerate(parts) for name, value in part.items()}
            for parts in ([state.pictures for state in states], [state.candidates for state in states])
        )
    )


def _part(state: State, number: int) -> State:
    prefix = f"{number}."
    return State(
        *(
            {name.removeprefix(prefix): value for name, value in part.items() if name.startswith(prefix)}
            for part in (state.pictures, state.candidates)
        )
    )


def load_models(folders: Sequence[Path], device: torch.device) -> tuple[list[Captioner], Vocabulary]:
    """Read model folders whose models are to speak together, one or more.

    Raises:
        CapflowError: a model is missing or damaged, or has another vocabulary than the first.
    """
    models, vocabularies = zip(*(load_captioner(folder, device) for folder in folders), strict=True)
    for folder, vocabulary in zip(folders, vocabularies, strict=True):
        if vocabulary != vocabularies[0]:
            raise CapflowError(
                f"{folder}: vocab.json differs from that of {folders[0]}, so they cannot speak together; "
                "train both on the same captions with the same `vocab` parameters."
            )
    for model in models:
        model.encoder.fold()
    return list(models), vocabularies[0]
