"""How the work grows: an epoch, the vocabulary, the search and the scores at N, 2N and 4N.

The exponent is the slope of time against size on logarithmic scales, 1 for linear growth.
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import torch

from benchmarks.inputs import some_captions
from benchmarks.report import row
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

TIMES, ROUNDS = (1, 2, 4), 2
CPU, CHANNELS = torch.device("cpu"), 512


def main() -> None:
    """Measure at three sizes and print the exponents."""
    memory.keep()
    split, origin = some_captions()
    works: dict[str, Callable[[int], object]] = {
        "an epoch (500 pictures)": lambda times: epoch(split, 500 * times),
        "the vocabulary (25,000 captions)": lambda times: vocabulary(repeated(split, times)),
        "the search (100 pictures)": lambda times: search(100 * times),
        "the scores (250 pictures)": lambda times: scores(split, 250 * times),
    }
    print(origin)
    for name, work in works.items():
        seconds = [fastest(work, times) for times in TIMES]
        slope = exponent(seconds)
        print(f"{name}: " + ", ".join(f"{value:.2f} s" for value in seconds))
        row(14, f"growth of {name}, to 4 times", f"exponent {slope:.2f}", "linear: <= 1.1", met=slope <= 1.1)


def fastest(work: Callable[[int], object], times: int) -> float:
    """The least seconds of several runs."""
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work(times)
        best = min(best, time.perf_counter() - start)
    return best


def exponent(seconds: Sequence[float]) -> float:
    """The slope of a line through the logarithms."""
    return float(np.polyfit(np.log(TIMES), np.log(seconds), 1)[0])


def repeated(split: Annotations, times: int) -> Annotations:
    """The same captions several times over."""
    return Annotations(split.images, split.annotations * times)


def vocabulary(split: Annotations) -> tuple[EncodedCaptions, Vocabulary]:
    """Words counted and numbered."""
    told: TokenisedCaptions = tokenise_all(split, punctuation=False)
    words = Vocabulary.from_counts(Counter(told.tokens), threshold=5, punctuation=False)
    return EncodedCaptions.encode(told, words), words


def epoch(split: Annotations, pictures: int) -> None:
    """All captions of some pictures, seen once."""
    some = split.first(pictures)
    captions, _ = vocabulary(some)
    ids = np.array([image["id"] for image in some.images])
    stored = np.zeros((pictures, 1, 1, CHANNELS), np.float16)
    inputs, batches = StoredFeatures(stored, CPU), Batches(captions, ids, 160, "padded", 1)
    # The size of the vocabulary is that of the largest run, so that a step always costs the same.
    decoder = LSTMDecoder(PARAMS, Shape(1, CHANNELS, 9500))
    optimizer = torch.optim.Adam(decoder.parameters(), 1e-3, fused=True)
    for batch in batches.epoch(1):
        with autocast(CPU):
            loss = caption_loss(decoder, inputs(batch.rows), batch.picture, batch.tokens)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()


def search(pictures: int) -> None:
    """Captions of pictures, by a beam of five."""
    decoder, features = example()
    batched(decoder, features[:pictures])


def scores(split: Annotations, pictures: int) -> None:
    """All seven scores."""
    references = split.first(pictures).captions_of()
    score(references, {image: texts[0] for image, texts in references.items()})


if __name__ == "__main__":
    main()
