"""The LSTM over captions of many lengths: packed by Capflow, against PyTorch's own ways.

One step of training, forwards and backwards, of a layer of 512 units over 320 captions whose lengths
are spread as Flickr8k's. All three compute the same.
"""

import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from capflow.models.recurrence import pack, recur

CAPTIONS, WIDTH, ROUNDS = 320, 512, 6


def main() -> None:
    """Measure each in turn, several times, and print the best of each."""
    torch.manual_seed(0)
    lengths = torch.distributions.Gamma(8.0, 0.625).sample((CAPTIONS,)).int().clamp(5, 30)
    real = torch.arange(int(lengths.max())) < lengths[:, None]
    words = torch.randn(*real.shape, WIDTH, requires_grad=True)
    lstm = nn.LSTM(WIDTH, WIDTH, batch_first=True)
    print(
        f"{CAPTIONS} captions of {lengths.float().mean():.1f} words, {int(lengths.max())} at most; ", end=""
    )
    print(f"{torch.get_num_threads()} threads; milliseconds a step")
    ways: dict[str, Callable[[], Tensor]] = {
        "capflow": lambda: packed(lstm, words, real),
        "nn.LSTM, packed": lambda: (
            lstm(pack_padded_sequence(words, lengths, batch_first=True, enforce_sorted=False))[0].data
        ),
        "nn.LSTM, padded": lambda: lstm(words)[0][real],
    }
    for kind in (torch.bfloat16, torch.float32):
        best = dict.fromkeys(ways, float("inf"))
        for _ in range(ROUNDS):
            for name, way in ways.items():
                best[name] = min(best[name], seconds(way, kind))
        shown = ", ".join(f"{name} {value * 1e3:.0f}" for name, value in best.items())
        ratio = best["nn.LSTM, padded"] / best["capflow"]
        print(f"{kind}: {shown}; {ratio:.2f} times as fast as padding")


def packed(lstm: nn.LSTM, words: Tensor, real: Tensor) -> Tensor:
    """Capflow's way, with the weights of ``lstm``."""
    below, before, *biases = lstm.all_weights[0]
    said = pack(words, real)
    inputs = nn.functional.linear(said.data, below, biases[0] + biases[1])
    empty = torch.zeros(len(words), WIDTH)
    return recur(inputs, before, empty, empty, said.batch_sizes.tolist())


def seconds(way: Callable[[], Tensor], kind: torch.dtype) -> float:
    """How long one step takes, with its gradient."""
    start = time.perf_counter()
    with torch.autocast("cpu", kind, enabled=kind is not torch.float32):
        outputs = way()
    outputs.float().sum().backward()  # type: ignore[no-untyped-call]
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
