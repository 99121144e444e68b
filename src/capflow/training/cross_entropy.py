"""Teacher forcing: each word of a caption from those before it, as people wrote them.

With scheduled sampling (Bengio, Vinyals, Jaitly, Shazeer: Scheduled Sampling for Sequence Prediction with
Recurrent Neural Networks, NeurIPS 2015), some of the words before it are what the model itself would have
said there. All guesses are made at once, from the words that people wrote, and read in a second pass
(Mihaylova, Martins: Scheduled Sampling for Transformers, ACL 2019), so no step waits for the one before.
"""

import torch
from torch import Tensor

from capflow.data.batches import Batch
from capflow.models.captioner import Captioner
from capflow.models.decoder import Decoder, Told
from capflow.models.devices import autocast
from capflow.models.inputs import Inputs
from capflow.params import TrainParams
from capflow.text.vocabulary import END, PAD
from capflow.training.objective import Learnt, observing, seen


def caption_loss(
    decoder: Decoder,
    features: Tensor,
    picture: Tensor,
    tokens: Tensor,
    smoothing: float = 0.0,
    read: Tensor | None = None,
    shares: tuple[float, float] = (1.0, 1.0),
) -> Tensor:
    """Mean cross-entropy of the next word, over all words and end tokens; padding does not count.

    In training, the decoder's penalty is added.

    Args:
        decoder: the decoder.
        features: float [P, cells, channels].
        picture: int64 [B], the picture of each caption, an index into ``features``.
        tokens: int64 [B, T], start token, words, end token, padding.
        smoothing: the share of probability that goes to all words alike (Szegedy et al., 2016).
        read: int64 [B, T], what the decoder reads instead of ``tokens``, as long as these.
        shares: of a whole's words and of its captions, where these are a part of it: the losses of all
            parts have the sum that the whole has.
    """
    targets = tokens[:, 1:]
    told: Told = decoder(features, picture, tokens if read is None else read)
    entropy = torch.nn.functional.cross_entropy(
        decoder.words(told.hidden).float(), targets[targets != PAD], label_smoothing=smoothing
    )
    return entropy * shares[0] + told.penalty * shares[1]


def with_guesses(decoder: Decoder, features: Tensor, picture: Tensor, tokens: Tensor, share: float) -> Tensor:
    """Captions with some words replaced by the likeliest ones after the words before them.

    Args:
        decoder: the decoder.
        features: float [P, cells, channels].
        picture: int64 [B], the picture of each caption.
        tokens: int64 [B, T], start token, words, end token, padding.
        share: of words that are replaced; start, end and padding stay.
    """
    said = tokens[:, 1:]
    logits = decoder.words(decoder(features, picture, tokens).hidden)
    logits[:, [PAD, END]] = -torch.inf  # they would end the caption
    guesses = said.clone()
    guesses[said != PAD] = logits.argmax(-1)
    replaced = (torch.rand(said.shape, device=said.device) < share) & (said != PAD) & (said != END)
    return torch.cat([tokens[:, :1], torch.where(replaced, guesses, said)], 1)


class CrossEntropy:
    """Cross-entropy with label smoothing and scheduled sampling, as the parameters ask for."""

    shows = "train_loss"
    random = None

    def __init__(self, model: Captioner, inputs: Inputs, params: TrainParams) -> None:
        """Learn from pictures as ``inputs`` shows them."""
        self._model, self._inputs, self._params = model, inputs, params
        self._device = next(model.parameters()).device

    def weight(self, batch: Batch, /) -> int:
        """The words that the loss is the mean over."""
        return int((batch.tokens[:, 1:] != PAD).sum())

    def __call__(self, batch: Batch, progress: float, /) -> Learnt:
        """The loss of a batch; the share of guesses rises with ``progress``."""
        decoder, share = self._model.decoder, progress * self._params.scheduled_sampling
        picture, tokens = batch.picture.to(self._device), batch.tokens.to(self._device)
        with self._autocast():
            features = seen(self._inputs, batch)
        read = tokens
        if share:
            # A context of its own: weights that autocast has converted without a gradient are forgotten.
            with observing(decoder), self._autocast():
                read = with_guesses(decoder, features, picture, tokens, share)
        with self._autocast():
            smoothing = self._params.label_smoothing
            shares = batch.share(self.weight), batch.share(lambda part: len(part.tokens))
            loss = caption_loss(decoder, features, picture, tokens, smoothing, read, shares)
        return Learnt(loss, loss.detach())

    def _autocast(self) -> torch.autocast:
        return autocast(self._device, self._params.precision)
