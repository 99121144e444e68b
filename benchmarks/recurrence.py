"""The LSTM over captions of many lengths: packed by Capflow, against PyTorch's own ways.

One step of training, forwards and backwards, of a layer of 512 units over 320 captions whose lengths
are spread as Flickr8k's. All three give the outputs of all words, caption by caption; outputs and gradients
are compared before anything is measured.
"""

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from benchmarks.report import fastest, require, row, shown
from capflow import memory
from capflow.models.recurrence import pack, recur, unpack

CAPTIONS, WIDTH, ROUNDS = 320, 512, 6


Way = Callable[[], Tensor]


def main() -> None:
    """Compare, measure in turn, and print."""
    memory.keep()
    torch.manual_seed(0)
    lengths = torch.distributions.Gamma(8.0, 0.625).sample((CAPTIONS,)).int().clamp(5, 30)
    real = torch.arange(int(lengths.max())) < lengths[:, None]
    words, lstm = torch.randn(*real.shape, WIDTH), nn.LSTM(WIDTH, WIDTH, batch_first=True)
    ways: dict[str, Way] = {
        "capflow": lambda: packed(lstm, words, real),
        "nn.LSTM, packed": lambda: usual(lstm, words, real),
        "nn.LSTM, padded": lambda: lstm(words)[0][real],
    }
    compare(ways, lstm)
    print(f"{CAPTIONS} captions of {lengths.float().mean():.1f} words, {int(lengths.max())} at most")
    for name, kind in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        best = fastest({name: partial(step, way, kind) for name, way in ways.items()}, ROUNDS)
        print(f"{name}, milliseconds a step: {shown(best, 1e3)}")
        ratio = min(best["nn.LSTM, packed"], best["nn.LSTM, padded"]) / best["capflow"]
        work = f"the recurrence alone, captions of many lengths, {name}"
        row(5, work, f"{ratio:.2f}x the faster of nn.LSTM packed and padded", "listed", met=True)


def packed(lstm: nn.LSTM, words: Tensor, real: Tensor) -> Tensor:
    """Capflow's way, with the weights of ``lstm``."""
    below, before, *biases = lstm.all_weights[0]
    said = pack(words, real)
    inputs = nn.functional.linear(said.data, below, biases[0] + biases[1])
    empty = torch.zeros(len(words), WIDTH)
    return unpack(said._replace(data=recur(inputs, before, empty, empty, said.batch_sizes.tolist())), real)


def usual(lstm: nn.LSTM, words: Tensor, real: Tensor) -> Tensor:
    """PyTorch's way, packed by PyTorch."""
    said = pack_padded_sequence(words, real.sum(1), batch_first=True, enforce_sorted=False)
    padded: Tensor = pad_packed_sequence(lstm(said)[0], batch_first=True)[0]
    return padded[real]


def compare(ways: Mapping[str, Way], lstm: nn.LSTM) -> None:
    """All ways have the same outputs and gradients, to the length of their differences."""
    found = {name: results(way, lstm) for name, way in ways.items()}
    for name, theirs in found.items():
        apart = max(((a - b).norm() / b.norm()).item() for a, b in zip(found["capflow"], theirs, strict=True))
        require(apart <= 1e-4, f"Capflow's recurrence and {name} are {apart:.0e} apart.")


def results(way: Way, lstm: nn.LSTM) -> list[Tensor]:
    """The outputs, and the gradient of the sum of their squares for each of the layer's weights."""
    outputs = way()
    return [outputs.detach(), *torch.autograd.grad(outputs.square().sum(), list(lstm.parameters()))]


def step(way: Way, kind: torch.dtype) -> None:
    """One step, with its gradient."""
    with torch.autocast("cpu", kind, enabled=kind is not torch.float32):
        outputs = way()
    outputs.float().sum().backward()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
