"""All seven scores of 5,000 captions against five references each, from raw captions.

Against the METEOR program alone, on captions that are tokenised already; and against pycocoevalcap's
scorers one after another, with its tokeniser's program, as its own evaluation runs them.
"""

from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge

from benchmarks.cider import shown
from benchmarks.inputs import to_score
from benchmarks.report import fastest, row
from capflow.evaluation import ptb
from capflow.evaluation.meteor import Tokens, meteor
from capflow.evaluation.scores import BLEU, NAMES, Scores, score

ROUNDS = 1


def main() -> None:
    """Measure, check that the figures are the same, and print."""
    references, predictions, origin = to_score()
    wrapped = {image: [caption] for image, caption in predictions.items()}
    tokens = ptb.tokenise(references), ptb.tokenise(wrapped)
    found: dict[str, Scores] = {}
    peers: dict[str, float] = {}

    def one_after_another() -> None:
        peers.update(in_turn(ptb.tokenise(references), ptb.tokenise(wrapped)))

    best = fastest(
        {
            "METEOR alone": lambda: meteor(lambda: tokens),
            "capflow": lambda: found.update(all=score(references, predictions)),
            "one after another": one_after_another,
        },
        ROUNDS,
    )
    totals = found["all"].totals
    assert totals.keys() == set(NAMES) - {"SPICE"}  # noqa: S101
    assert all(abs(totals[name] - peers[name]) <= 1e-12 * (name == "CIDEr") for name in totals)  # noqa: S101
    print(f"{origin}; the same seven figures; seconds: {shown(best)}")
    ratio = best["capflow"] / best["METEOR alone"]
    row(9, "all seven scores, 5,000 x 5", f"{ratio:.2f}x METEOR alone", "<= 1.15x", met=ratio <= 1.15)


def in_turn(truths: Tokens, said: Tokens) -> dict[str, float]:
    """The scores by pycocoevalcap, but that the METEOR program is started as Capflow does."""
    bleu, _ = Bleu().compute_score(truths, said, verbose=0)
    return {
        **dict(zip(BLEU, bleu, strict=True)),
        "METEOR": meteor(lambda: (truths, said))[0],
        "ROUGE_L": Rouge().compute_score(truths, said)[0],
        "CIDEr": Cider().compute_score(truths, said)[0],
    }


if __name__ == "__main__":
    main()
