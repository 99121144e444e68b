"""What an epoch is worth: the loss of what people said, and CIDEr, which decides, of what the model says.

An encoder takes longer than everything else here. So pictures are encoded once, a few at a time, for both:
as they are in use, in full precision, and none of them is kept when the next ones come.
"""

import logging
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from capflow.data.batches import Batch, Batches
from capflow.evaluation.scores import CiderScorer
from capflow.models.captioner import Captioner
from capflow.models.captioning import write_captions
from capflow.models.devices import autocast
from capflow.models.inputs import Inputs, Rows
from capflow.params import GenerateParams, Params
from capflow.processes import ALONE, Processes
from capflow.text.vocabulary import PAD, Vocabulary
from capflow.training.cross_entropy import caption_loss
from capflow.training.history import Row
from capflow.training.symptoms import bad_endings, symptom

logger = logging.getLogger(__name__)
# Pictures that tell whether the encoder sees any difference.
_SOME = 32
SAMPLES = 6
"""Pictures whose captions the record shows, epoch by epoch."""


def sampled(count: int) -> list[int]:
    """The rows of a few of so many pictures, the same ones in each training, so that runs can be compared."""
    return sorted(random.Random(0).sample(range(count), min(SAMPLES, count)))


class ReadAlong:
    """Shows pictures to whoever captions them, and has the decoder read what people said of these."""

    def __init__(self, model: Captioner, inputs: Inputs, batches: Batches, precision: str) -> None:
        """Begin with no picture shown.

        Args:
            model: in evaluation mode whenever pictures are shown.
            inputs: what is seen of pictures.
            batches: the captions that belong to them.
            precision: of the decoder as it reads, as in training.
        """
        self.some = torch.empty(0)
        """Features of a few pictures, float [P, cells, channels]."""
        self._decoder, self._inputs = model.decoder, inputs
        self._batches, self._precision = batches, precision
        # By the first row of pictures that were shown together: their losses' sum, and their words.
        self._sums: dict[int, tuple[float, int]] = {}

    @torch.inference_mode()
    def __call__(self, rows: Rows) -> Tensor:
        """Features of pictures, given their rows, ascending."""
        features = self._inputs(rows)
        if not self._sums:
            self.some = features[:_SOME]
        places = ((batch, np.searchsorted(rows, batch.rows)) for batch in self._batches.of(rows))
        read = [self._read(batch, features[chosen]) for batch, chosen in places]
        self._sums[int(rows[0])] = sum(loss for loss, _ in read), sum(words for _, words in read)
        return features

    def _read(self, batch: Batch, features: Tensor) -> tuple[float, int]:
        """The sum of the losses of the words of some captions, and how many these are."""
        words, device = int((batch.tokens[:, 1:] != PAD).sum()), features.device
        picture, tokens = batch.picture.to(device), batch.tokens.to(device)
        with autocast(device, self._precision):
            loss = caption_loss(self._decoder, features, picture, tokens)
        return words * loss.item(), words

    def loss(self, processes: Processes = ALONE) -> float:
        """Mean loss of all words of all pictures that any process was shown; without smoothing."""
        # Pictures that several processes were shown count once.
        sums = {first: both for each in processes.gathered([*self._sums.items()]) for first, both in each}
        losses, words = zip(*(sums[first] for first in sorted(sums)), strict=True)
        return float(sum(losses) / sum(words))


@dataclass(frozen=True)
class Validation:
    """The validation pictures, what people said of them, and how the model's greedy captions are scored."""

    model: Captioner
    ids: Sequence[int]
    inputs: Inputs
    batches: Batches
    precision: str
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
        batches: Batches,
        references: Mapping[int, Sequence[str]],
        vocabulary: Vocabulary,
        params: Params,
        processes: Processes = ALONE,
    ) -> "Validation":
        """Prepare the references once; ``processes`` take turns with the pictures."""
        ids, inputs = pictures
        cider = CiderScorer({image: references[image] for image in ids})
        # Sums are rounded as the size of a batch has it: it must be one by which trainings are told apart.
        greedy, precision = params.generate.greedy(params.train.batch_size), params.train.precision
        return cls(model, ids, inputs, batches, precision, vocabulary, greedy, cider, processes)

    def __call__(self) -> Row:
        """``val_loss``, ``val_CIDEr``, and ``val_bad_endings``, the share of captions that break off.

        It is of the model as it is now, which must be in evaluation mode. Captions that are all the same
        or of one length are a warning.
        """
        reading = ReadAlong(self.model, self.inputs, self.batches, self.precision)
        said = write_captions(
            self.model.decoder, self.ids, reading, self.vocabulary, self.params, self.processes
        )
        if found := symptom(said.values(), reading.some, self.params.max_length):
            logger.warning(found)
        # One reckons and tells the others, which then decide alike.
        score = self.cider(said) if self.processes.first else 0.0
        self.shown.update((self.ids[row], said[self.ids[row]]) for row in sampled(len(self.ids)))
        return {
            "val_loss": reading.loss(self.processes),
            "val_CIDEr": self.processes.told(score),
            "val_bad_endings": bad_endings(said.values()),
        }
