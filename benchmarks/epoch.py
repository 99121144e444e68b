"""An epoch over all captions with a frozen encoder: Capflow's stored features against the tutorials' loop.

The tutorials decode, resize and encode a picture again for each of its captions, in fp32, a batch having
captions of one length, which a scan of the whole list finds. Both sides train the same decoder (embedding
256, hidden 100) on the same captions. The peer's steps, Capflow's preparation of pictures, and their number
are samples, scaled to 6,000 pictures with five captions each; Capflow's epoch is a whole one.
"""

import io
import os
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision import models
from torchvision.transforms import Compose, Normalize, RandomCrop, RandomHorizontalFlip, Resize, ToTensor

from benchmarks.inputs import photographs, some_captions
from benchmarks.report import row
from benchmarks.training_step import PARAMS
from benchmarks.tutorial import TutorialDecoder
from capflow import memory
from capflow.data.batches import Batches
from capflow.data.captions import EncodedCaptions, TokenisedCaptions
from capflow.data.pictures import decode
from capflow.data.resize import resize
from capflow.models.captioner import Captioner, CaptionerConfig
from capflow.models.devices import autocast
from capflow.models.encoder import Encoder
from capflow.models.inputs import StoredFeatures
from capflow.params import DecoderParams, EncoderParams, TensorParams, load_params
from capflow.text.tokenise import Tokeniser
from capflow.text.vocabulary import Vocabulary
from capflow.training.cross_entropy import CrossEntropy
from capflow.training.phase import Phase

PICTURES, EACH, BATCH, EPOCHS = 6000, 5, 200, 5
EMBEDDING, HIDDEN = 256, 100
# The captions that a step of the tutorials' loop is measured on; Capflow prepares twice as many pictures.
SAMPLE = {"resnet50": 32, "squeezenet1_0": 64}
CPU = torch.device("cpu")
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def main() -> None:
    """Measure both encoders and print."""
    captions, vocabulary, origin = sample_captions()
    for name, work in (("resnet50", "frozen ResNet-50"), ("squeezenet1_0", "frozen SqueezeNet")):
        peer = PICTURES * EACH * tutorial(name, captions, vocabulary)
        prepared = PICTURES * preparation(name)
        ours = epoch(name, captions, vocabulary)
        ratio, whole = peer / ours, EPOCHS * peer / (prepared + EPOCHS * ours)
        print(f"{name}, {origin}: tutorials {peer:.0f} s an epoch; ", end="")
        print(f"Capflow {ours:.1f} s, after {prepared:.0f} s once")
        goal = ">= 100x" if name == "resnet50" else "listed"
        row(1, f"an epoch, {work}", f"{ratio:.0f}x", goal, met=ratio >= 100 or goal == "listed")
        row(1, f"5 epochs and all preparation, {work}", f"{whole:.0f}x", ">= 40x", met=whole >= 40)


def sample_captions() -> tuple[EncodedCaptions, Vocabulary, str]:
    """Five captions of each of 6,000 pictures, some of them twice, and the words that occur five times."""
    split, origin = some_captions()
    texts = [record["caption"] for record in split.annotations]
    words = Tokeniser(punctuation=False)
    wanted = [words(texts[number % len(texts)]) for number in range(PICTURES * EACH)]
    told = TokenisedCaptions.of((number // EACH, tokens) for number, tokens in enumerate(wanted))
    vocabulary = Vocabulary.from_counts(Counter(told.tokens), threshold=5, punctuation=False)
    return EncodedCaptions.encode(told, vocabulary), vocabulary, origin


def tutorial(name: str, captions: EncodedCaptions, vocabulary: Vocabulary) -> float:
    """Seconds that the tutorials' loop takes for a caption."""
    torch.manual_seed(0)
    files, _ = photographs()
    encoder = torchvision_encoder(name)
    decoder = TutorialDecoder(
        encoder(torch.zeros(1, 3, 224, 224)).shape[1], EMBEDDING, HIDDEN, len(vocabulary)
    )
    optimizer = torch.optim.Adam(decoder.parameters(), 1e-3)
    prepare = Compose(
        [Resize(256), RandomCrop(224), RandomHorizontalFlip(), ToTensor(), Normalize(MEAN, STD)]
    )
    lengths = captions.lengths.tolist()
    size, best = SAMPLE[name], float("inf")
    for _ in range(2):
        start = time.perf_counter()
        chosen = np.random.choice(lengths)  # noqa: NPY002 - as they do it
        of_length = [index for index in range(len(lengths)) if lengths[index] == chosen]
        picked = np.random.choice(of_length, size=size)  # noqa: NPY002
        images = [
            prepare(Image.open(io.BytesIO(files[index % len(files)])).convert("RGB")) for index in picked
        ]
        tokens = torch.from_numpy(captions.padded(picked))
        decoder.zero_grad()
        decoder.loss(encoder(torch.stack(images)), tokens).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        best = min(best, (time.perf_counter() - start) / size)
    return best


def torchvision_encoder(name: str) -> Callable[[Tensor], Tensor]:
    """Pictures, float [B, 3, 224, 224], to pooled features, [B, channels], frozen."""
    network = models.get_model(name, weights=None).eval()
    if name == "resnet50":
        network.fc = nn.Identity()
    else:
        network = nn.Sequential(network.features, nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    return torch.no_grad()(lambda images: network(images))


def preparation(name: str) -> float:
    """Seconds that Capflow takes to decode, resize and encode a picture, which it does once."""
    files, _ = photographs()
    size = 2 * SAMPLE[name]
    encoder = Encoder(
        EncoderParams(name=name, weights="none", trainable=False, features="pooled", mirrored=False)
    ).eval()
    best = float("inf")
    for _ in range(2):
        start = time.perf_counter()
        with ThreadPoolExecutor(os.cpu_count()) as pool:  # as capflow.data.precompute has it
            squares = list(pool.map(square, (files * size)[:size]))
        with torch.inference_mode(), autocast(CPU):
            for part in torch.split(torch.stack(squares), 64):
                encoder(part)
        best = min(best, (time.perf_counter() - start) / size)
    return best


def square(file: bytes) -> Tensor:
    """A photograph as Capflow's encoders see it."""
    return resize(decode(file, "a photograph"), 224, "crop")


def epoch(name: str, captions: EncodedCaptions, vocabulary: Vocabulary) -> float:
    """Seconds of Capflow's epoch."""
    channels = 2048 if name == "resnet50" else 512
    stored = np.random.default_rng(0).random((PICTURES, 1, 1, channels), np.float32).astype(np.float16)
    inputs, batches = StoredFeatures(stored, CPU), Batches(captions, np.arange(PICTURES), BATCH, "padded", 1)
    encoder = EncoderParams(name=name, weights="none", trainable=False, features="pooled", mirrored=False)
    square = TensorParams(size=224, fit="crop")
    config = CaptionerConfig(
        encoder=encoder, decoder=decoder_params(), tensors=square, crop=0, words=len(vocabulary)
    )
    model, params = Captioner(config), load_params().train
    phase = Phase(model, CrossEntropy(model, inputs, params), params, params.lr, 1, len(batches))
    start = time.perf_counter()
    for batch in batches.epoch(1):
        phase.update([batch])
    return time.perf_counter() - start


def decoder_params() -> DecoderParams:
    """The tutorials' decoder."""
    return PARAMS.model_copy(update={"embedding": EMBEDDING, "hidden": HIDDEN})


if __name__ == "__main__":
    memory.keep()
    main()
