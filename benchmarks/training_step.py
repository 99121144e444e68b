"""A training step of Show and Tell: Capflow's decoder against that of the tutorials, features given.

256 captions of 12 words, vocabulary 9,500, hidden 512: forwards, backwards and Adam. Both start from the
same weights; losses are compared over three steps before anything is measured. What a step in bf16 could gain
at best is shown by its matrix products alone.
"""

import copy
from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.report import fastest, require, row, shown
from benchmarks.tutorial import TutorialDecoder
from capflow import memory
from capflow.models.decoder import Shape
from capflow.models.devices import autocast
from capflow.models.lstm import LSTMDecoder
from capflow.params import DecoderParams
from capflow.training.cross_entropy import caption_loss

WORDS, CAPTIONS, LENGTH, CHANNELS, ROUNDS = 9500, 256, 14, 2048, 8
PARAMS = DecoderParams(
    name="lstm",
    embedding=256,
    hidden=512,
    layers=1,
    heads=1,
    attention=1,
    project=0,
    doubly_stochastic=0.0,
    dropout=0.0,
    tied=False,
    inject="first",
    batch_norm=False,
)


class Step:
    """Capflow's step, in one precision."""

    def __init__(self, decoder: LSTMDecoder, precision: str) -> None:
        self.decoder, self.precision = copy.deepcopy(decoder), precision
        self.optimizer = torch.optim.Adam(self.decoder.parameters(), 1e-3, fused=True)

    def __call__(self, features: Tensor, tokens: Tensor) -> float:
        """Take it; the loss before."""
        picture = torch.arange(len(features), device=features.device)
        with autocast(features.device, self.precision):
            loss = caption_loss(self.decoder, features[:, None], picture, tokens)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return loss.item()


class TutorialStep:
    """The tutorials' step."""

    def __init__(self, ours: LSTMDecoder) -> None:
        sizes = (ours.lstm.input_size, ours.lstm.hidden_size, ours.vocabulary.out_features)
        self.decoder = TutorialDecoder(ours.project.in_features, *sizes).to(ours.project.weight.device)
        self.decoder.take(ours)
        self.optimizer = torch.optim.Adam(self.decoder.parameters(), 1e-3)

    def __call__(self, features: Tensor, tokens: Tensor) -> float:
        """Take it; the loss before."""
        self.decoder.zero_grad()
        loss = self.decoder.loss(features, tokens)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return loss.item()


def main() -> None:
    """Compare the losses, measure in turn, and print."""
    memory.keep()
    torch.manual_seed(0)
    features = torch.randn(CAPTIONS, CHANNELS)
    tokens = torch.randint(4, WORDS, (CAPTIONS, LENGTH))
    first = LSTMDecoder(PARAMS, Shape(cells=1, channels=CHANNELS, words=WORDS))
    exact, reduced, theirs = Step(first, "fp32"), Step(first, "bf16"), TutorialStep(first)
    apart = max(abs(exact(features, tokens) - theirs(features, tokens)) for _ in range(3))
    require(apart <= 1e-5, f"the losses of Capflow and the tutorials are {apart:.0e} apart.")
    best = fastest(
        {
            "tutorials": lambda: theirs(features, tokens),
            "capflow fp32": lambda: exact(features, tokens),
            "capflow bf16": lambda: reduced(features, tokens),
            "products bf16": products(torch.bfloat16),
        },
        ROUNDS,
    )
    print(f"milliseconds a step: {shown(best, 1e3)}")
    same, fast = (best["tutorials"] / best[name] for name in ("capflow fp32", "capflow bf16"))
    bare = best["tutorials"] / best["products bf16"]
    found, goal = f"{same:.2f}x, losses {apart:.0e} apart", ">= 1x, same loss (1e-5)"
    row(5, "LSTM training step, fp32", found, goal, met=same >= 1)
    found = f"{fast:.2f}x; {bare:.2f}x if it were matrix products alone"
    row(5, "LSTM training step, bf16", found, ">= 2.5x", met=fast >= 2.5)


def products(kind: torch.dtype) -> Callable[[], None]:
    """The matrix products of Capflow's step, and nothing else: of each layer forwards, and its two gradients.

    Pictures and their features are nothing to learn, so that of the projection the second one is missing.
    """
    said, hidden, embedding = LENGTH - 1, PARAMS.hidden, PARAMS.embedding
    layers = [  # rows, inputs, outputs, and how often in a step
        (CAPTIONS, CHANNELS, embedding, 1),  # the picture,
        (CAPTIONS, embedding, 4 * hidden, 1),  # read before the words,
        (CAPTIONS * said, embedding, 4 * hidden, 1),  # the words,
        (CAPTIONS, hidden, 4 * hidden, said),  # what is remembered,
        (CAPTIONS * said, hidden, WORDS, 1),  # and the vocabulary
    ]
    sizes = [((rows, below), (above, below), (rows, above)) for rows, below, above, _ in layers]
    made = [[torch.randn(size).to(kind) for size in three] for three in sizes]

    def multiply() -> None:
        for (inputs, weight, gradient), layer in zip(made, layers, strict=True):
            for _ in range(layer[-1]):
                inputs @ weight.t()
                gradient.t() @ inputs
                if weight.shape[1] != CHANNELS:
                    gradient @ weight

    return multiply


if __name__ == "__main__":
    main()
