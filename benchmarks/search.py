"""Beam search, five candidates, 1,000 pictures: Capflow's batches against one picture at a time.

The peer does what the well-known attention tutorial does: it drops a candidate that ends, and goes on with
the others. It is written anew here, around the same decoder, with the bounds that Capflow has. Captions and
scores are compared first. The peer is measured on some of the pictures, and scaled.
"""

import torch
from torch import Tensor

from benchmarks.report import fastest, require, row, shown
from benchmarks.training_step import PARAMS
from capflow import memory
from capflow.models.decoder import Decoder, Shape
from capflow.models.generate import Search, generate
from capflow.models.lstm import LSTMDecoder
from capflow.text.vocabulary import END, PAD, START, UNK

PICTURES, SOME, BATCH, CHANNELS, WORDS = 1000, 40, 250, 2048, 9500
SEARCH = Search(start=START, end=END, barred=(PAD, START, UNK), beam=5, max_length=20, length_penalty=0.0)


def main() -> None:
    """Compare the captions, measure in turn, and print."""
    memory.keep()
    decoder, features = example()
    ours = batched(decoder, features)
    theirs = [alone(decoder, picture) for picture in features[:SOME, None]]
    pairs = list(zip(ours[:SOME], theirs, strict=True))
    require(all(one[0] == other[0] for one, other in pairs), "the searches differ in a caption.")
    apart = max(abs(one[1] - other[1]) for one, other in pairs)
    require(apart < 1e-4, f"the searches differ by {apart:.0e} in the score of a caption.")
    best = fastest(
        {
            "capflow": lambda: batched(decoder, features),
            "alone": lambda: [alone(decoder, picture) for picture in features[:SOME, None]],
        },
        rounds=2,
    )
    best["alone"] *= PICTURES / SOME
    length = sum(len(words) for words, _ in ours) / PICTURES
    print(f"seconds for {PICTURES} pictures, {length:.1f} words on average: {shown(best)}")
    ratio = best["alone"] / best["capflow"]
    found = f"{ratio:.1f}x, all of {SOME} captions the same, scores within {apart:.0e}"
    row(7, "beam search, beam 5, 1,000 images", found, ">= 5x, same captions and scores", met=ratio >= 5)


def example() -> tuple[Decoder, Tensor]:
    """A decoder whose captions differ in words and length, and the features of the pictures."""
    torch.manual_seed(0)
    decoder = LSTMDecoder(PARAMS, Shape(cells=1, channels=CHANNELS, words=WORDS)).eval()
    with torch.no_grad():
        decoder.vocabulary.weight.mul_(30)
        decoder.vocabulary.bias[END] += 6  # captions of about ten words
    return decoder, torch.randn(PICTURES, 1, CHANNELS)


def batched(decoder: Decoder, features: Tensor) -> list[tuple[list[int], float]]:
    """Capflow's search: the words up to the end, and log p, of each picture."""
    found = []
    for part in torch.split(features, BATCH):
        tokens, scores = generate(decoder, part, SEARCH)
        for words, value in zip(tokens.tolist(), scores.tolist(), strict=True):
            found.append((words[: words.index(END)] if END in words else words, value))
    return found


@torch.inference_mode()
def alone(decoder: Decoder, features: Tensor) -> tuple[list[int], float]:
    """The tutorial's search for one picture, float [1, cells, channels]."""
    width = SEARCH.beam
    state = decoder.init(features).select(torch.zeros(width, dtype=torch.int64))
    said = torch.full((width, 1), START)
    scores = torch.zeros(width)
    ended: list[tuple[list[int], float]] = []
    for step in range(SEARCH.max_length):
        logits, state = decoder.step(said[:, -1], state)
        logits[:, list(SEARCH.barred)] = -torch.inf
        totals = scores[:, None] + torch.log_softmax(logits, 1)
        totals = totals[:1] if step == 0 else totals  # all candidates are equal at first
        scores, place = totals.flatten().topk(width)
        parent, word = place // logits.shape[1], place % logits.shape[1]
        said = torch.cat([said[parent], word[:, None]], 1)
        done = word == END
        ended += [(s[1:-1], v) for s, v in zip(said[done].tolist(), scores[done].tolist(), strict=True)]
        width -= int(done.sum())
        if not width:
            break
        said, scores = said[~done], scores[~done]
        state = state.select(parent[~done])
    ended = ended or [(s[1:], v) for s, v in zip(said.tolist(), scores.tolist(), strict=True)]
    return max(ended, key=lambda caption: caption[1])


if __name__ == "__main__":
    main()
