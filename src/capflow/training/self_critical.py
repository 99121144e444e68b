"""Self-critical training: captions that the model draws, rewarded with their scores.

Rennie, Marcheret, Mroueh, Ross, Goel: Self-critical Sequence Training for Image Captioning (CVPR 2017).
With K captions s_1 .. s_K of a picture, drawn from the model, and their rewards r, the gradient is that of

    - sum over k of (r_k - b_k) log p(s_k | picture),    b_k = 1 / (K - 1) * sum over j != k of r_j

where the baseline is what the other captions of the picture got (Luo: A Better Variant of Self-Critical
Sequence Training, 2020). As there, the sum is divided by the number of words drawn, and the end counts as a
word: in what is drawn, in the references, and in the number of pictures that have an n-gram. Otherwise
captions come to end with "with a".

The reward is CIDEr-D, to which BLEU-4 may be added with a weight (Ranzato, Chopra, Auli, Zaremba: Sequence
Level Training with Recurrent Neural Networks, ICLR 2016, train with BLEU-4 alone). A model that is rewarded
by what people say of its training pictures gets to know these by heart, where there are few. So there may be
added, too, how well a caption fits what other training pictures that look alike let expect of this one
(:mod:`capflow.models.lookalikes`, :mod:`capflow.evaluation.expectation`): that is as true of new pictures.

Captions are drawn without dropout, from running statistics, and without a gradient; one pass over all of
them, as training has it, gives log p. So the model that draws is not quite the one whose gradient is taken.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from capflow.data.batches import Batch, Batches
from capflow.evaluation.bleu import Bleu4
from capflow.evaluation.cider import CiderD
from capflow.evaluation.ngrams import Captions
from capflow.models.captioner import Captioner
from capflow.models.devices import autocast
from capflow.models.inputs import Inputs
from capflow.models.sampling import Sampling, end_once, sample, skip
from capflow.params import SelfCriticalParams, TrainParams
from capflow.processes import ALONE, Processes
from capflow.text.vocabulary import PAD
from capflow.training.fit import Fit
from capflow.training.objective import Learnt, observing, seen

Ids = NDArray[np.int64]
Floats = NDArray[np.float64]


class Rewards:
    """Rewards of captions as arrays of word ids; document frequencies are those of the references."""

    def __init__(self, batches: Batches, params: SelfCriticalParams, pictures: Tensor | None = None) -> None:
        """Index the captions of a split as references.

        Args:
            batches: the split.
            params: what counts how much beside CIDEr-D.
            pictures: float [N, channels], its pictures as wholes, where it counts which of them look alike.
        """
        words, lengths, rows = batches.references()
        self._rows, images = np.unique(rows, return_inverse=True)
        references = Captions(words, lengths, images.astype(np.int64))
        self._cider, self._bleu = CiderD(references), Bleu4(references) if params.bleu else None
        self._params = params
        self._pictures = None if pictures is None else pictures[torch.from_numpy(self._rows)]
        if self._pictures is not None:
            self._fit = Fit.of(references, self._pictures)

    def __call__(self, rows: Ids, captions: Ids) -> Floats:
        """The reward of each caption, float64 [P, K].

        Args:
            rows: int64 [P], the rows of the pictures.
            captions: int64 [P, K, T], words and, if there is one, the end token; then padding.
        """
        images = np.searchsorted(self._rows, rows)
        said = Captions.of(captions, np.repeat(images, captions.shape[1]), PAD)
        scores = self._cider(said)
        if self._bleu:
            scores += self._params.bleu * self._bleu(said)
        scores = scores.reshape(len(rows), -1)
        if self._pictures is not None:
            own = torch.from_numpy(images)
            scores += self._params.lookalikes * self._fit(captions, self._pictures[own], own)
        return scores


def advantage(rewards: Floats) -> Floats:
    """How much better each of K captions of a picture is than the mean of the others, float64 [P, K]."""
    count = rewards.shape[1]
    better: Floats = (rewards - rewards.mean(1, keepdims=True)) * count / (count - 1)
    return better


class SelfCritical:
    """The objective; it shows the mean reward."""

    shows = "reward"

    def __init__(
        self,
        model: Captioner,
        inputs: Inputs,
        rewards: Rewards,
        sampling: Sampling,
        params: TrainParams,
        processes: Processes = ALONE,
    ) -> None:
        """Draw captions of pictures as ``inputs`` shows them, in the way of ``sampling``.

        Each of ``processes`` draws those of its part of a batch, the same as one would draw of the whole.
        """
        self._model, self._inputs, self._rewards = model, inputs, rewards
        self._sampling, self._params, self._processes = sampling, params, processes
        self._device = next(model.parameters()).device
        self.random = torch.Generator().manual_seed(torch.initial_seed())

    def weight(self, batch: Batch, /) -> int:
        """The pictures, each of which has as many captions drawn."""
        return len(batch.rows)

    def __call__(self, batch: Batch, _progress: float, /) -> Learnt:
        """Draw captions of a batch's pictures, and see which are better than others."""
        with self._autocast():
            features = seen(self._inputs, batch)
        captions = self._draw(features.detach(), batch)
        entropy = self._entropy(features, captions)
        # The device computes the line above while the processor computes this.
        rewards = self._rewards(batch.rows, captions.cpu().numpy())
        better = torch.from_numpy(advantage(rewards)).to(entropy)
        words = (captions != PAD).sum(-1)
        weights = better.flatten().repeat_interleave(words.flatten(), output_size=len(entropy))
        reward = torch.tensor(rewards.mean() * batch.share(self.weight)).to(entropy)
        return Learnt((weights * entropy).mean() * self._share(len(entropy)), reward)

    def _share(self, words: int) -> float:
        """How much of the words that all processes have drawn are those of this one."""
        total = torch.tensor([words])
        self._processes.add(total)
        return words / int(total)

    def _draw(self, features: Tensor, batch: Batch) -> Tensor:
        decoder, count = self._model.decoder, self._params.self_critical.samples
        behind = len((batch.whole or batch).rows) - batch.first - len(batch.rows)
        skip(batch.first, self._sampling, count, self.random)
        with observing(decoder), self._autocast():
            said, _ = sample(decoder, features, self._sampling, count, self.random)
        skip(behind, self._sampling, count, self.random)
        # Behind the greatest length there is always an end: a caption that was cut has none of its own.
        return end_once(said[..., :-1], self._sampling.end)

    def _entropy(self, features: Tensor, captions: Tensor) -> Tensor:
        """- log p of each word of captions, int64 [P, K, T], one after the other."""
        decoder, rows = self._model.decoder, captions.flatten(0, 1)
        picture = torch.arange(len(captions), device=rows.device).repeat_interleave(captions.shape[1])
        tokens = torch.cat([rows.new_full((len(rows), 1), self._sampling.start), rows], 1)
        with self._autocast():
            logits = decoder.words(decoder(features, picture, tokens).hidden).float()
        barred = torch.tensor(self._sampling.barred, device=logits.device)
        logits = logits.index_fill(1, barred, -torch.inf)
        return torch.nn.functional.cross_entropy(logits, rows[rows != PAD], reduction="none")

    def _autocast(self) -> torch.autocast:
        return autocast(self._device, self._params.precision)
