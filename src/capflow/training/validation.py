"""The score that decides which epoch is best: CIDEr of generated captions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from capflow.evaluation.scores import CiderScorer
from capflow.models.captioner import Captioner
from capflow.models.captioning import write_captions
from capflow.models.inputs import Inputs
from capflow.params import GenerateParams
from capflow.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class CaptionScore:
    """Greedy captions of the validation pictures, scored by CIDEr against their references."""

    model: Captioner
    ids: Sequence[int]
    inputs: Inputs
    vocabulary: Vocabulary
    params: GenerateParams
    cider: CiderScorer

    @classmethod
    def of(
        cls,
        model: Captioner,
        pictures: tuple[Sequence[int], Inputs],
        references: Mapping[int, Sequence[str]],
        vocabulary: Vocabulary,
        params: GenerateParams,
    ) -> "CaptionScore":
        """Prepare the references once."""
        ids, inputs = pictures
        cider = CiderScorer({image: references[image] for image in ids})
        return cls(model, ids, inputs, vocabulary, params.greedy(), cider)

    def __call__(self) -> float:
        """CIDEr of the model as it is now; it must be in evaluation mode."""
        decoder = self.model.decoder
        return self.cider(write_captions(decoder, self.ids, self.inputs, self.vocabulary, self.params))
