"""The decoder of the tutorials, written anew: an LSTM over the picture, then the words. Not a benchmark."""

import torch
from torch import Tensor, nn

from capflow.models.lstm import LSTMDecoder


class TutorialDecoder(nn.Module):
    """`nn.Embedding`, `nn.LSTM`, `nn.Linear`, as the tutorials chain them."""

    def __init__(self, channels: int, embedding: int, hidden: int, words: int) -> None:
        super().__init__()
        self.picture = nn.Linear(channels, embedding)
        self.embed = nn.Embedding(words, embedding)
        self.lstm = nn.LSTM(embedding, hidden, 1, batch_first=True)
        self.linear = nn.Linear(hidden, words)

    def forward(self, features: Tensor, tokens: Tensor) -> Tensor:
        """Logits [B, T, words] from features [B, channels] and captions of one length, [B, T]."""
        words = self.embed(tokens[:, :-1])
        outputs, _ = self.lstm(torch.cat([self.picture(features)[:, None], words], 1))
        logits: Tensor = self.linear(outputs)
        return logits

    def loss(self, features: Tensor, tokens: Tensor) -> Tensor:
        """Mean cross-entropy of all words but the start token, of which there is nothing to learn."""
        logits = self(features, tokens)[:, 1:]
        return nn.functional.cross_entropy(logits.reshape(-1, logits.shape[2]), tokens[:, 1:].reshape(-1))

    def take(self, ours: LSTMDecoder) -> None:
        """Have the weights of Capflow's decoder."""
        parts = {"picture": ours.project, "embed": ours.embed, "lstm": ours.lstm, "linear": ours.vocabulary}
        for name, part in parts.items():
            getattr(self, name).load_state_dict(part.state_dict())
