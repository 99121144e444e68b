"""What decides which epoch is best: CIDEr of generated captions."""

import logging
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from capflow.evaluation.scores import CiderScorer
from capflow.models.captioner import Captioner
from capflow.models.captioning import write_captions
from capflow.models.inputs import Inputs
from capflow.params import GenerateParams
from capflow.processes import ALONE, Processes
from capflow.text.vocabulary import Vocabulary
from capflow.training.symptoms import bad_endings, symptom

logger = logging.getLogger(__name__)
# Pictures that tell whether the encoder sees any difference.
_SOME = 32
SAMPLES = 6
"""Pictures whose captions the record shows, epoch by epoch."""


def sampled(count: int) -> list[int]:
    """The rows of a few of so many pictures, the same ones in each training, so that runs can be compared."""
    return sorted(random.Random(0).sample(range(count), min(SAMPLES, count)))


@dataclass(frozen=True)
class CaptionScore:
    """Greedy captions of the validation pictures, scored by CIDEr against their references."""

    model: Captioner
    ids: Sequence[int]
    inputs: Inputs
    vocabulary: Vocabulary
    params: GenerateParams
    cider: CiderScorer
    processes: Processes
    shown: dict[int, str] = field(default_factory=dict)
    """What was said last of the :func:`sampled` pictures."""

    @classmethod
    def of(
        cls,
        model: Captioner,
        pictures: tuple[Sequence[int], Inputs],
        references: Mapping[int, Sequence[str]],
        vocabulary: Vocabulary,
        params: GenerateParams,
        processes: Processes = ALONE,
    ) -> "CaptionScore":
        """Prepare the references once; ``processes`` take turns with the pictures."""
        ids, inputs = pictures
        cider = CiderScorer({image: references[image] for image in ids})
        return cls(model, ids, inputs, vocabulary, params.greedy(), cider, processes)

    def __call__(self) -> dict[str, float]:
        """``val_CIDEr``, and ``val_bad_endings``, the share of captions that break off.

        It is of the model as it is now, which must be in evaluation mode. Captions that are all the same
        or of one length are a warning.
        """
        said = write_captions(
            self.model.decoder, self.ids, self.inputs, self.vocabulary, self.params, self.processes
        )
        if found := symptom(said.values(), self._some_features(), self.params.max_length):
            logger.warning(found)
        # One reckons and tells the others, which then decide alike.
        score = self.cider(said) if self.processes.first else 0.0
        self.shown.update((self.ids[row], said[self.ids[row]]) for row in sampled(len(self.ids)))
        return {"val_CIDEr": self.processes.told(score), "val_bad_endings": bad_endings(said.values())}

    @torch.inference_mode()
    def _some_features(self) -> torch.Tensor:
        return self.inputs(np.arange(min(len(self.ids), _SOME)))
