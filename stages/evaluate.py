"""Score the captions: data/predictions against data/annotations, to metrics/ and to the run in MLflow."""

import logging
from collections.abc import Collection

from capflow import project
from capflow.data import tensors
from capflow.data.annotations import Annotations
from capflow.data.captions import EncodedCaptions
from capflow.data.scenes.truth import truth_scores
from capflow.errors import CapflowError
from capflow.evaluation.pages import per_image_table, write_report
from capflow.evaluation.results import read_results, references_digest
from capflow.evaluation.scores import score
from capflow.evaluation.variety import Variety, doubt, variety
from capflow.files import folder_digest, write_json, write_text
from capflow.params import Params, Split, load_params
from capflow.record.recorder import Scored, record_scores
from capflow.text.vocabulary import Vocabulary
from stages import run

logger = logging.getLogger(__name__)


def main() -> None:
    """Run the stage."""
    params = load_params()
    split, scored = scored_split(params)
    captions = read_results(project.PREDICTIONS / f"{split}.json")
    scores = score(scored.captions_of(), captions, spice=params.evaluate.spice)
    truth = truth_scores(captions, scored.images) if scored.images[0].get("scene") else {}
    totals = scores.totals | truth
    counted = count(captions.values(), split)
    write_json(project.METRICS / "scores.json", totals, indent=2)
    write_json(project.METRICS / "captions.json", counted.figures, indent=2)
    write_text(project.METRICS / "per_image.csv", per_image_table(scores, scored, captions))
    write_report(params, split, scored, captions, scores, totals, counted)
    record(params, Scored(split, references_digest(scored.captions_of())), totals)
    for name, reason in scores.absent.items():
        logger.warning("%s is absent: %s", name, reason)
    if problem := doubt(counted, params):
        logger.warning(problem)
    logger.info("%s: %s", split, ", ".join(f"{name} {value:.3f}" for name, value in totals.items()))


def scored_split(params: Params) -> tuple[Split, Annotations]:
    """The split that is scored: test where pictures of it have captions, else val; of those captioned."""
    for split in ("test", "val"):
        part = tensors.described(split)
        if part.annotations and split in params.generate.splits:
            return split, part
    raise CapflowError(
        "params.yaml: `generate.splits` has no split with captions, so there is nothing to score; add val."
    )


def count(captions: Collection[str], split: Split) -> Variety:
    """What the captions of a split are like, beside those of people and of training."""
    references, train = (EncodedCaptions.load(project.VOCAB / name) for name in (split, "train"))
    return variety(captions, references, train, Vocabulary.read(project.VOCAB / "vocab.json"))


def record(params: Params, tested: Scored, totals: dict[str, float]) -> None:
    """Put the scores on the row of the run that trained the model."""
    files = ("scores.json", "captions.json", "report")
    artifacts = {name: project.METRICS / name for name in files}
    record_scores(folder_digest(project.MODEL), params, totals, tested, artifacts)


if __name__ == "__main__":
    run(main)
