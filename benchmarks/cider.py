"""CIDEr-D of 5,000 captions against five references each, in PTB tokens: Capflow's and pycocoevalcap's."""

import numpy as np
from pycocoevalcap.cider.cider import Cider

from benchmarks.inputs import to_score
from benchmarks.report import fastest, require, row, shown
from capflow.evaluation import ptb
from capflow.evaluation.cider import CiderD, Floats
from capflow.evaluation.ngrams import Words

ROUNDS = 3


def main() -> None:
    """Check that both agree on each image, measure, and print."""
    references, predictions, origin = to_score()
    truths = ptb.tokenise(references)
    said = ptb.tokenise({image: [caption] for image, caption in predictions.items()})
    words = Words()
    prepared = CiderD(words.captions(truths.values()))

    def capflow() -> Floats:
        ours = Words()
        return CiderD(ours.captions(truths.values()))(ours.captions(said.values()))

    total, rows = Cider().compute_score(truths, said)
    apart = max(abs(capflow().mean() - total), np.abs(capflow() - rows).max())
    require(apart <= 1e-12, f"CIDEr-D of an image is {apart:.0e} from pycocoevalcap's.")
    best = fastest(
        {
            "pycocoevalcap": lambda: Cider().compute_score(truths, said),
            "capflow": capflow,
            "references prepared": lambda: prepared(words.captions(said.values())),
        },
        ROUNDS,
    )
    print(f"CIDEr {total:.3f}, {apart:.0e} apart; seconds: {shown(best)}")
    ratio, again = (best["pycocoevalcap"] / best[name] for name in ("capflow", "references prepared"))
    row(8, f"CIDEr-D, 5,000 x 5 references, {origin}", f"{ratio:.1f}x pycocoevalcap", ">= 7x", met=ratio >= 7)
    row(8, "the same, references prepared once", f"{again:.0f}x pycocoevalcap", ">= 7x", met=again >= 7)


if __name__ == "__main__":
    main()
