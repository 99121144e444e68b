"""The COCO scores: BLEU-1 to 4, METEOR, ROUGE-L, CIDEr and, on request, SPICE, as pycocoevalcap's.

References are raw captions, tokenised as the COCO evaluation does (:mod:`capflow.evaluation.ptb`) and
never mapped to the model's vocabulary. What pycocoevalcap calls CIDEr is CIDEr-D, with document
frequencies from the references that are scored: that of a part cannot be compared with the whole's.
"""

import io
import subprocess
import zipfile
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import redirect_stdout
from dataclasses import dataclass
from itertools import chain

from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.rouge.rouge import Rouge
from pycocoevalcap.spice.spice import Spice

from capflow.errors import CapflowError
from capflow.evaluation import ptb
from capflow.evaluation.cider import CiderD
from capflow.evaluation.meteor import meteor
from capflow.evaluation.ngrams import Words

BLEU = ("Bleu_1", "Bleu_2", "Bleu_3", "Bleu_4")
NAMES = (*BLEU, "METEOR", "ROUGE_L", "CIDEr", "SPICE")

Tokens = dict[int, list[str]]
Result = tuple[float, Sequence[float]]


@dataclass(frozen=True)
class Scores:
    """What predictions scored.

    Attributes:
        images: the ids of the pictures that were scored, ascending.
        totals: the score of all pictures together, by name; fractions, and CIDEr from 0 to 10.
        per_image: the score of each picture in the order of ``images``, by name.
        absent: why a score is missing, by name.
    """

    images: list[int]
    totals: dict[str, float]
    per_image: dict[str, list[float]]
    absent: dict[str, str]


def score(
    references: Mapping[int, Sequence[str]], predictions: Mapping[int, str], *, spice: bool = False
) -> Scores:
    """Score one caption of each picture against those that people wrote.

    Args:
        references: raw captions by image id; pictures without any are left out.
        predictions: a caption by image id for each picture; an empty text is a caption, too.
        spice: whether to compute SPICE as well.

    Returns:
        The scores ``Bleu_1`` to ``Bleu_4``, ``METEOR``, ``ROUGE_L``, ``CIDEr`` and, on request,
        ``SPICE``. METEOR and SPICE are absent, with the reason, where their programs do not run.

    Raises:
        CapflowError: the pictures are not the same, there is nothing to score, or Java is missing.
    """
    _check(references, predictions)
    with ThreadPoolExecutor() as pool:
        tokens = pool.submit(_tokenise, references, predictions)
        # These two are programs of their own, and leave Python to the others. METEOR takes longer than
        # everything else, so it is started first.
        programs: dict[str, Future[Result]] = {"METEOR": pool.submit(meteor, tokens.result)}
        truths, captions = tokens.result()
        if spice:
            programs["SPICE"] = pool.submit(_spice, truths, captions)
        results = _python_scores(truths, captions)
    absent: dict[str, str] = {}
    for name, program in programs.items():
        try:
            results[name] = program.result()
        except CapflowError as error:
            absent[name] = str(error)
    computed = [name for name in NAMES if name in results]
    return Scores(
        images=list(truths),
        totals={name: float(results[name][0]) for name in computed},
        per_image={name: [float(value) for value in results[name][1]] for name in computed},
        absent=absent,
    )


class CiderScorer:
    """CIDEr alone, against references that are tokenised once; for a score after each epoch."""

    def __init__(self, references: Mapping[int, Sequence[str]]) -> None:
        """Tokenise the references: raw captions by image id; pictures without any are left out.

        Raises:
            CapflowError: no picture has a reference, or Java is missing.
        """
        self._references, self._words = references, Words()
        truths = _with_words(
            ptb.tokenise({image: texts for image, texts in sorted(references.items()) if texts})
        )
        self._images, self._cider = list(truths), CiderD(self._words.captions(truths.values()))

    def __call__(self, predictions: Mapping[int, str]) -> float:
        """The CIDEr that :func:`score` gives.

        Raises:
            CapflowError: the pictures are not the same.
        """
        _check(self._references, predictions)
        captions = ptb.tokenise({image: [predictions[image]] for image in self._images})
        return float(self._cider(self._words.captions(captions.values())).mean())


def _tokenise(
    references: Mapping[int, Sequence[str]], predictions: Mapping[int, str]
) -> tuple[Tokens, Tokens]:
    """All captions at once, as the tokeniser takes longer to start than for thousands of them."""
    tokens = ptb.tokenise(
        {image: [*texts, predictions[image]] for image, texts in sorted(references.items()) if texts}
    )
    truths = _with_words({image: texts[:-1] for image, texts in tokens.items()})
    return truths, {image: texts[-1:] for image, texts in tokens.items()}


def _with_words(truths: Tokens) -> Tokens:
    if not any(chain.from_iterable(truths.values())):
        raise CapflowError("references: they hold no word, so there is nothing to score; check the file.")
    return truths


def _check(references: Mapping[int, Sequence[str]], predictions: Mapping[int, str]) -> None:
    """Whether the pictures are the same, before any program is started."""
    if missing := [image for image in sorted(references) if references[image] and image not in predictions]:
        raise CapflowError(
            f"predictions: there is no caption for {_some(missing)}; add it, an empty text if need be."
        )
    if unknown := sorted(predictions.keys() - references.keys()):
        raise CapflowError(f"predictions: {_some(unknown)} is not among the references; remove its caption.")


def _some(images: list[int]) -> str:
    others = f" (and {len(images) - 1} others)" if len(images) > 1 else ""
    return f"image {images[0]}{others}"


def _python_scores(truths: Tokens, captions: Tokens) -> dict[str, Result]:
    totals, rows = Bleu().compute_score(truths, captions, verbose=0)
    return {
        **dict(zip(BLEU, zip(totals, rows, strict=True), strict=True)),
        "ROUGE_L": Rouge().compute_score(truths, captions),
        "CIDEr": _cider(truths, captions),
    }


def _cider(truths: Tokens, captions: Tokens) -> Result:
    words = Words()
    rows = CiderD(words.captions(truths.values()))(words.captions(captions.values()))
    return float(rows.mean()), rows.tolist()


def _spice(truths: Tokens, captions: Tokens) -> Result:
    """SPICE (Anderson et al., 2016); it needs an older Java than the other programs, from PATH."""
    try:
        # It reports its download on stdout.
        with redirect_stdout(io.StringIO()):
            total, rows = Spice().compute_score(truths, captions)
    except (OSError, ValueError, subprocess.SubprocessError, zipfile.BadZipFile) as error:
        raise CapflowError(f"SPICE does not run: {error}") from None
    return total, [row["All"]["f"] for row in rows]
