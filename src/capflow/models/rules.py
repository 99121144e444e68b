"""What may be said next, whoever chooses: a search or chance."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What a caption may be.

    Attributes:
        start: the token before the first word.
        end: the token after the last word.
        barred: tokens that are never said, ``start`` among them.
        max_length: the most words in a caption.
        min_length: the fewest, unless ``no_repeat`` leaves no word to say.
        no_repeat: runs of so many words are said once in a caption at most (Paulus, Xiong, Socher:
            A Deep Reinforced Model for Abstractive Summarization, ICLR 2018); 0: as often as you like.
    """

    start: int
    end: int
    barred: tuple[int, ...]
    max_length: int
    min_length: int = 0
    no_repeat: int = 0

    def log_p(self, logits: Tensor) -> Tensor:
        """Log p of each word, float32 [R, words], where barred tokens are no words; changes ``logits``."""
        for token in self.barred:  # an index that is no tensor goes to no device
            logits[:, token] = -torch.inf
        return torch.log_softmax(logits.float(), -1)

    def restrict(self, log_p: Tensor, said: Tensor) -> Tensor:
        """Set log p of what may not be said next to -inf, in place.

        The other words keep theirs: a caption whose likely words are forbidden is no likelier for that.

        Args:
            log_p: float [R, words], of :meth:`log_p`.
            said: int64 [R, 1 + t], the start token and the words so far.
        """
        words = said[:, 1:]
        if self.no_repeat and words.shape[1] >= self.no_repeat:
            self._bar_repetitions(log_p, words)
        if words.shape[1] < self.min_length:
            self._bar_the_end(log_p)
        return log_p

    def _bar_repetitions(self, log_p: Tensor, words: Tensor) -> None:
        """Bar what came after the last ``no_repeat - 1`` words when they were said before."""
        runs = words.unfold(1, self.no_repeat, 1)
        last = words[:, words.shape[1] - self.no_repeat + 1 :]
        again = (runs[..., :-1] == last[:, None]).all(-1)
        # Where nothing was said before, the start token is barred once more.
        log_p.scatter_(1, torch.where(again, runs[..., -1], self.start), -torch.inf)

    def _bar_the_end(self, log_p: Tensor) -> None:
        end = log_p[:, self.end].clone()
        log_p[:, self.end] = -torch.inf
        speechless = log_p.amax(-1).isneginf()
        log_p[:, self.end] = end.masked_fill_(~speechless, -torch.inf)


def may_ask(place: int, device: torch.device) -> bool:
    """Whether to ask, after the word at ``place``, which captions have ended.

    A GPU has to come to rest for the answer, so it is asked after each eighth word. Words behind the end
    change nothing.
    """
    return device.type == "cpu" or place % 8 == 7
