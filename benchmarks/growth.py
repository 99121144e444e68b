"""How the work grows: an epoch, the vocabulary, the search and the scores at N, 2N and 4N.

The exponent is the slope of time against size on logarithmic scales, 1 for linear growth. Only the work
itself is timed. The scores start two Java programs, which takes seconds whatever the number of pictures, and
are therefore measured where that is a small part. Their pictures are 5,000 with five captions each, again and
again, all others are different.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle, islice

import numpy as np
import torch

from benchmarks.inputs import some_captions, to_score
from benchmarks.report import Work, fastest, row, shown
from benchmarks.search import batched, example
from benchmarks.training_step import PARAMS
from capflow import memory
from capflow.data.annotations import Annotations
from capflow.data.batches import Batches
from capflow.data.captions import EncodedCaptions, TokenisedCaptions, tokenise_all
from capflow.evaluation.scores import score
from capflow.models.decoder import Shape
from capflow.models.devices import autocast
from capflow.models.inputs import StoredFeatures
from capflow.models.lstm import LSTMDecoder
from capflow.text.vocabulary import Vocabulary
from capflow.training.cross_entropy import caption_loss

TIMES = (1, 2, 4)
CPU, CHANNELS = torch.device("cpu"), 512


def main() -> None:
    """Measure at three sizes and print the exponents."""
    memory.keep()
    split, origin = some_captions()
    decoder, features = example()
    grown(f"an epoch, {origin}", 500, lambda pictures: epoch(split.first(pictures)), 1)
    grown(f"the vocabulary, {origin}", 1250, lambda pictures: vocabulary(split.first(pictures)), 10)
    grown("the search", 250, lambda pictures: lambda: batched(decoder, features[:pictures]), 1)
    references, predictions, origin = to_score()
    many = 2 * len(references)
    grown(f"the scores, {origin}", many, lambda pictures: scores(references, predictions, pictures), 1)


def exponent(seconds: Sequence[float]) -> float:
    """The slope of a line through the logarithms."""
    return float(np.polyfit(np.log(TIMES), np.log(seconds), 1)[0])


def grown(work: str, pictures: int, prepare: Callable[[int], Work], rounds: int) -> None:
    """Measure ``prepare(so many)()`` and print the exponent."""
    sizes = [times * pictures for times in TIMES]
    best = fastest({f"{size:,}": prepare(size) for size in sizes}, rounds)
    found = exponent(list(best.values()))
    print(f"{work}, seconds by pictures: {shown(best)}")
    name = f"growth of {work}, {sizes[0]:,} to {sizes[-1]:,} pictures"
    row(14, name, f"exponent {found:.2f}", "linear: <= 1.1", met=found <= 1.1)


def vocabulary(split: Annotations) -> Work:
    """Words counted and numbered."""
    return lambda: encoded(split)


def encoded(split: Annotations) -> EncodedCaptions:
    """The captions as numbers of the words that occur five times in them."""
    told: TokenisedCaptions = tokenise_all(split, punctuation=False)
    words = Vocabulary.from_counts(Counter(told.tokens), threshold=5, punctuation=False)
    return EncodedCaptions.encode(told, words)


def epoch(split: Annotations) -> Work:
    """All captions of some pictures, seen once."""
    captions, ids = encoded(split), np.array([image["id"] for image in split.images])
    stored = np.zeros((len(ids), 1, 1, CHANNELS), np.float16)
    inputs, batches = StoredFeatures(stored, CPU), Batches(captions, ids, 160, "padded", 1)
    # The size of the vocabulary is that of the largest run, so that a step always costs the same.
    decoder = LSTMDecoder(PARAMS, Shape(1, CHANNELS, 9500))
    optimizer = torch.optim.Adam(decoder.parameters(), 1e-3, fused=True)

    def work() -> None:
        for batch in batches.epoch(1):
            with autocast(CPU):
                loss = caption_loss(decoder, inputs(batch.rows), batch.picture, batch.tokens)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()

    return work


def scores(references: Mapping[int, Sequence[str]], predictions: Mapping[int, str], pictures: int) -> Work:
    """All seven scores of so many pictures, which take turns."""
    turns = list(enumerate(islice(cycle(references), pictures)))
    truths = {number: references[image] for number, image in turns}
    said = {number: predictions[image] for number, image in turns}
    return lambda: score(truths, said)


if __name__ == "__main__":
    main()
