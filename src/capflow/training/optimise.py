"""Which weights learn how: groups of the optimiser, and the average of all that the weights have been."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from capflow.models.captioner import Captioner
from capflow.params import TrainParams


def groups(model: Captioner, params: TrainParams) -> list[dict[str, Any]]:
    """The weights that may learn, each once, as groups for an optimiser.

    Weight decay is for what is multiplied with a layer's input alone: not for biases, norms, word vectors
    and positions. ``rate`` says how fast a group learns beside the others.
    """
    encoder = model.encoder.learning(params.encoder.from_layer)
    decoder = list(model.decoder.parameters())
    decayed = _decayed(model)
    chosen = [
        {
            "params": [weight for weight in weights if (weight in decayed) == decays],
            "weight_decay": params.weight_decay if decays else 0.0,
            "rate": rate,
        }
        for weights, rate in ((decoder, 1.0), (encoder, params.encoder.rate))
        for decays in (True, False)
    ]
    return [group for group in chosen if group["params"]]


def optimizer(model: Captioner, params: TrainParams) -> torch.optim.Optimizer:
    """The optimiser that the parameters ask for; :class:`capflow.training.phase.Phase` sets its rates."""
    kind = torch.optim.Adam if params.optimizer == "adam" else torch.optim.AdamW
    return kind(groups(model, params), fused=True)


def _decayed(model: nn.Module) -> set[Tensor]:
    """Matrices and kernels by which layers multiply; tied with word vectors, they count as these."""
    weights: set[Tensor] = set()
    vectors: set[Tensor] = set()
    for module in model.modules():
        for name, weight in module.named_parameters(recurse=False):
            if isinstance(module, nn.Embedding):
                vectors.add(weight)
            elif "weight" in name and weight.dim() > 1:
                weights.add(weight)
    return weights - vectors


class Average:
    """The exponential moving average of weights, and of running statistics that belong to them.

    After the step t = 1, 2, ... with the weights w_t (Polyak, Juditsky: Acceleration of Stochastic
    Approximation by Averaging, 1992, in the form that most use):

        a_t = d_t a_t-1 + (1 - d_t) w_t,    d_t = min(decay, t / (t + 9))

    so that the first weights, which know nothing, are soon forgotten. With a decay of 0 the average is
    the weights themselves, and nothing is done.
    """

    def __init__(self, weights: Iterable[Tensor], decay: float) -> None:
        """Begin with the weights as they are; what is no floating-point number has no average."""
        self._decay, self.steps = decay, 0
        self._live = [weight.detach() for weight in weights if decay and weight.is_floating_point()]
        self.kept = [tensor.clone() for tensor in self._live]

    @torch.no_grad()
    def update(self) -> None:
        """Take the weights of a step in."""
        self.steps += 1
        if self._live:
            decay = min(self._decay, self.steps / (self.steps + 9))
            torch._foreach_lerp_(self.kept, self._live, 1 - decay)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Within the block, the weights are the averaged ones."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for live, kept in zip(self._live, self.kept, strict=True):
            learnt = live.clone()
            live.copy_(kept)
            kept.copy_(learnt)
