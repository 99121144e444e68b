"""What the search says with every decoder: alone or with others, remembered or read anew."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from capflow.models.decoder import Decoder, State, Told
from capflow.models.generate import Search, generate
from tests.decoders import SHAPE, decoder, every_decoder, example, logits, sharp

SEARCH = Search(start=1, end=2, barred=(0, 1, 3), beam=3, max_length=7, length_penalty=0.0)


def greedy(model: Decoder, features: Tensor) -> list[int]:
    """The likeliest word each time, by the parallel pass, for one picture."""
    said = [SEARCH.start]
    for _ in range(SEARCH.max_length):
        with torch.no_grad():
            last = logits(model, features, torch.tensor([0]), torch.tensor([[*said, SEARCH.end]]))[-1]
        last[list(SEARCH.barred)] = -torch.inf
        said.append(int(last.argmax()))
        if said[-1] == SEARCH.end:
            break
    return said[1:] + [SEARCH.end] * (SEARCH.max_length + 2 - len(said))


class Anew(Decoder):
    """A decoder that remembers only words, and reads all of them again in each step."""

    def __init__(self, model: Decoder) -> None:
        super().__init__()
        self.model = model

    def forward(self, features: Tensor, picture: Tensor, tokens: Tensor) -> Told:
        told: Told = self.model(features, picture, tokens)
        return told

    def words(self, hidden: Tensor) -> Tensor:
        return self.model.words(hidden)

    def init(self, features: Tensor) -> State:
        return State({"features": features}, {"said": torch.empty(len(features), 0, dtype=torch.long)})

    def step(self, token: Tensor, state: State) -> tuple[Tensor, State]:
        said = torch.cat([state.candidates["said"], token[:, None]], 1)
        features = state.pictures["features"]
        picture = torch.arange(len(features)).repeat_interleave(len(token) // len(features))
        tokens = torch.nn.functional.pad(said, (0, 1), value=SEARCH.end)
        last = logits(self.model, features, picture, tokens).view(*said.shape, -1)[:, -1]
        return last, State(state.pictures, {"said": said})


@every_decoder
@pytest.mark.parametrize("cells", [1, 4])
def test_a_search_of_many_pictures_says_what_one_picture_gets_alone(kind: str, cells: int) -> None:
    shape = SHAPE._replace(cells=cells)
    model, features = sharp(decoder(kind, shape)), example(shape)[0]
    tokens, scores = generate(model, features, SEARCH)
    for row, picture in enumerate(features):
        alone, score = generate(model, picture[None], SEARCH)
        assert tokens[row].tolist() == alone[0].tolist()
        torch.testing.assert_close(scores[[row]], score, rtol=1e-4, atol=1e-4)


@every_decoder
def test_beam_one_is_greedy(kind: str) -> None:
    model, features = sharp(decoder(kind)), example()[0]
    tokens, _ = generate(model, features, replace(SEARCH, beam=1))
    for row, picture in enumerate(features):
        assert tokens[row].tolist() == greedy(model, picture[None])


@every_decoder
def test_a_search_that_remembers_equals_one_that_reads_everything_anew(kind: str) -> None:
    model, features = sharp(decoder(kind)), example()[0]
    tokens, scores = generate(model, features, SEARCH)
    again, anew = generate(Anew(model), features, SEARCH)
    assert torch.equal(tokens, again)
    torch.testing.assert_close(scores, anew, rtol=1e-4, atol=1e-4)
