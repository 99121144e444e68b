"""The attention decoder against the loop of the well-known tutorial of Show, Attend and Tell.

One step of training, the loss with its penalty, its gradient and Adam, over features of a frozen encoder: 14
x 14 cells of 2048 channels, five captions a picture with lengths spread as Flickr8k's, vocabulary 9,500, all
other sizes 512. The tutorial's loop is written anew here: it sees the features of
each caption's picture, projects them in each step, and asks for its logits step by step. Both have the
same weights; the loss, and in double precision the gradients, are compared before anything is measured.
"""

import copy
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from benchmarks.report import fastest, require, row, shown
from capflow import memory
from capflow.models.attention import AttentionDecoder
from capflow.models.decoder import Shape
from capflow.params import DecoderParams
from capflow.training.cross_entropy import caption_loss

PICTURES, CAPTIONS_EACH, ROUNDS = 8, 5, 3
SHAPE = Shape(cells=196, channels=2048, words=9500)
PARAMS = DecoderParams(
    name="attention",
    embedding=512,
    hidden=512,
    layers=1,
    heads=1,
    attention=512,
    project=0,
    doubly_stochastic=1.0,
    dropout=0.0,
    tied=False,
    inject="every",
    batch_norm=False,
)


class Tutorial(nn.Module):
    """The decoder as the tutorial has it, an ``nn.LSTMCell`` in a loop over words."""

    def __init__(self, ours: AttentionDecoder) -> None:
        """Take over the weights of our decoder."""
        super().__init__()
        self.ours = ours
        inputs = ours.from_word.in_features + ours.from_picture.in_features
        self.cell = nn.LSTMCell(inputs, ours.from_before.in_features)
        with torch.no_grad():
            self.cell.weight_ih.copy_(torch.cat([ours.from_word.weight, ours.from_picture.weight], 1))
            self.cell.weight_hh.copy_(ours.from_before.weight)
            self.cell.bias_ih.copy_(ours.from_word.bias)
            self.cell.bias_hh.zero_()

    def forward(self, features: Tensor, tokens: Tensor) -> Tensor:
        """The loss, with features [B, cells, channels], a picture for each caption."""
        lengths, order = (tokens != 0).sum(1).sub(1).sort(descending=True)
        features, tokens = features[order], tokens[order]
        words = self.ours.embed(tokens)
        mean = features.mean(1)
        h, c = self.ours.init_h(mean), self.ours.init_c(mean)
        logits = features.new_zeros(len(tokens), int(lengths[0]), self.ours.vocabulary.out_features)
        weights = features.new_zeros(len(tokens), int(lengths[0]), features.shape[1])
        for step in range(int(lengths[0])):
            live = int((lengths > step).sum())
            seen, alpha = self._attention(features[:live], h[:live])
            seen = self.ours.gate(h[:live]).sigmoid() * seen
            h, c = self.cell(torch.cat([words[:live, step], seen], 1), (h[:live], c[:live]))
            logits[:live, step] = self.ours.vocabulary(h)
            weights[:live, step] = alpha
        real = tokens[:, 1:] != 0
        entropy = nn.functional.cross_entropy(logits[:, : real.shape[1]][real], tokens[:, 1:][real])
        return entropy + self.ours.doubly_stochastic * ((1 - weights.sum(1)) ** 2).mean()

    def _attention(self, features: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        soft = self.ours.soft
        energy = soft.score(torch.relu(soft.key(features) + soft.query(h)[:, None])).squeeze(2)
        alpha = energy.softmax(1)
        return (features * alpha[:, :, None]).sum(1), alpha


def main() -> None:
    """Compare, measure each in turn, and print the best of each."""
    memory.keep()
    torch.manual_seed(0)
    features, picture, tokens = example()
    ours = AttentionDecoder(PARAMS, SHAPE)
    tutorial = Tutorial(ours)

    def our_loss() -> Tensor:
        return caption_loss(ours, features, picture, tokens)

    def their_loss() -> Tensor:
        loss: Tensor = tutorial(features[picture], tokens)
        return loss

    compare(our_loss(), their_loss())
    compare_gradients(copy.deepcopy(tutorial).double(), features.double(), picture, tokens)
    adam = torch.optim.Adam(ours.parameters(), 1e-4, fused=True)
    theirs = torch.optim.Adam(tutorial.parameters(), 1e-4)
    best = fastest(
        {
            "tutorial": lambda: step(their_loss, theirs),
            "capflow": lambda: step(our_loss, adam),
            "capflow in bf16": lambda: step(partial(in_bf16, our_loss), adam),
        },
        ROUNDS,
    )
    print(f"{len(tokens)} captions of {PICTURES} pictures, {torch.get_num_threads()} threads; ", end="")
    print(f"seconds a step: {shown(best)}")
    for kind, name, goal in (("fp32, same loss", "capflow", 2.0), ("bf16", "capflow in bf16", 3.5)):
        ratio = best["tutorial"] / best[name]
        row(6, f"attention training step, {kind}", f"{ratio:.1f}x", f">= {goal:g}x", met=ratio >= goal)


def example() -> tuple[Tensor, Tensor, Tensor]:
    """Features of the pictures, the picture of each caption, and tokens."""
    picture = torch.arange(PICTURES).repeat_interleave(CAPTIONS_EACH)
    lengths = torch.distributions.Gamma(8.0, 0.625).sample((len(picture),)).int().clamp(5, 30)
    tokens = torch.randint(4, SHAPE.words, (len(picture), int(lengths.max()) + 1))
    tokens[torch.arange(tokens.shape[1]) > lengths[:, None]] = 0
    return torch.randn(PICTURES, SHAPE.cells, SHAPE.channels).relu(), picture, tokens


def compare(ours: Tensor, theirs: Tensor) -> None:
    """Both have the same loss."""
    difference = abs(ours.item() - theirs.item())
    require(difference <= 1e-5, f"the attention decoder's loss is {difference:.0e} from the tutorial's.")
    print(f"loss {ours.item():.5f}, {difference:.0e} from the tutorial's")


def compare_gradients(tutorial: Tutorial, features: Tensor, picture: Tensor, tokens: Tensor) -> None:
    """Both have the same gradient where their ways differ most; single precision cancels too much there."""
    losses = caption_loss(tutorial.ours, features, picture, tokens), tutorial(features[picture], tokens)
    weight = tutorial.ours.soft.key.weight
    gradient, other = (torch.autograd.grad(loss, weight)[0] for loss in losses)
    apart = ((gradient - other).norm() / other.norm()).item()
    require(apart <= 1e-6, f"the attention decoder's gradient is {apart:.0e} from the tutorial's.")


def in_bf16(way: Callable[[], Tensor]) -> Tensor:
    """The same in reduced precision."""
    with torch.autocast("cpu", torch.bfloat16):
        return way()


def step(way: Callable[[], Tensor], optimizer: torch.optim.Optimizer) -> None:
    """A step of training."""
    optimizer.zero_grad(set_to_none=True)
    way().backward()  # type: ignore[no-untyped-call]
    optimizer.step()


if __name__ == "__main__":
    main()
