"""An epoch over all captions with a frozen encoder: Capflow's stored features against the tutorials' loop.

The tutorials decode, resize and encode a picture again for each of its captions, in fp32, a batch having
captions of one length, which a scan of the whole list finds. Both sides train the same decoder (embedding
256, hidden 100) on the same captions. The peer's time is that of a step, scaled to 6,000 pictures with five
captions each. Capflow's preparation is that of some of the pictures, scaled, by what the stages call: from an
archive to files of pixels and of features, synced. Capflow's epoch is a whole one.
"""

import io
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision import models
from torchvision.transforms import Compose, Normalize, RandomCrop, RandomHorizontalFlip, Resize, ToTensor

from benchmarks.inputs import photographs, some_captions
from benchmarks.report import fastest, row
from benchmarks.training_step import PARAMS
from benchmarks.tutorial import TutorialDecoder
from capflow import memory
from capflow.data import features, precompute, tensors
from capflow.data.annotations import ImageRecord
from capflow.data.archives import pictures_in
from capflow.data.batches import Batches
from capflow.data.captions import EncodedCaptions, TokenisedCaptions
from capflow.models.captioner import Captioner, CaptionerConfig
from capflow.models.devices import autocast
from capflow.models.encoder import Encoder
from capflow.models.inputs import StoredFeatures
from capflow.params import DecoderParams, EncoderParams, TensorParams, load_params
from capflow.text.tokenise import Tokeniser
from capflow.text.vocabulary import Vocabulary
from capflow.training.cross_entropy import CrossEntropy
from capflow.training.phase import Phase

Files = Sequence[bytes]
PICTURES, EACH, BATCH, EPOCHS = 6000, 5, 200, 5
EMBEDDING, HIDDEN = 256, 100
# So many pictures are prepared where that is measured.
SAMPLE = {"resnet50": 128, "squeezenet1_0": 1000}
CPU = torch.device("cpu")
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def main() -> None:
    """Measure both encoders and print."""
    captions, vocabulary, texts = sample_captions()
    files, pictures = photographs()
    origin = f"{texts}, {pictures}"
    for name, work in (("resnet50", "frozen ResNet-50"), ("squeezenet1_0", "frozen SqueezeNet")):
        peer = PICTURES * EACH * tutorial(name, files, captions, vocabulary)
        prepared = PICTURES * preparation(name, files)
        ours = epoch(name, captions, vocabulary)
        ratio, whole = peer / ours, EPOCHS * peer / (prepared + EPOCHS * ours)
        print(f"{name}: tutorials {peer:.0f} s an epoch; Capflow {ours:.1f} s, after {prepared:.0f} s once")
        goal = ">= 100x" if name == "resnet50" else "listed"
        row(1, f"an epoch, {work}, {origin}", f"{ratio:.0f}x", goal, met=ratio >= 100 or goal == "listed")
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


def tutorial(name: str, files: Files, captions: EncodedCaptions, vocabulary: Vocabulary) -> float:
    """Seconds that the tutorials' loop takes for a caption."""
    torch.manual_seed(0)
    encoder = torchvision_encoder(name)
    decoder = TutorialDecoder(
        encoder(torch.zeros(1, 3, 224, 224)).shape[1], EMBEDDING, HIDDEN, len(vocabulary)
    )
    optimizer = torch.optim.Adam(decoder.parameters(), 1e-3)
    prepare = Compose(
        [Resize(256), RandomCrop(224), RandomHorizontalFlip(), ToTensor(), Normalize(MEAN, STD)]
    )
    lengths = captions.lengths.tolist()

    def step() -> None:
        chosen = np.random.choice(lengths)  # noqa: NPY002 - as they do it
        of_length = [index for index in range(len(lengths)) if lengths[index] == chosen]
        picked = np.random.choice(of_length, size=BATCH)  # noqa: NPY002
        images = [
            prepare(Image.open(io.BytesIO(files[index % len(files)])).convert("RGB")) for index in picked
        ]
        tokens = torch.from_numpy(captions.padded(picked))
        decoder.zero_grad()
        decoder.loss(encoder(torch.stack(images)), tokens).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return fastest({"step": step}, rounds=1)["step"] / BATCH


def torchvision_encoder(name: str) -> Callable[[Tensor], Tensor]:
    """Pictures, float [B, 3, 224, 224], to pooled features, [B, channels], frozen."""
    network = models.get_model(name, weights=None).eval()
    if name == "resnet50":
        network.fc = nn.Identity()
    else:
        network = nn.Sequential(network.features, nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    return torch.no_grad()(lambda images: network(images))


def preparation(name: str, files: Files) -> float:
    """Seconds that Capflow takes to decode, resize and encode a picture, which it does once."""
    encoder = Encoder(
        EncoderParams(
            name=name,
            weights="none",
            padding="torch",
            trainable=False,
            features="pooled",
            mirrored=False,
            crops=0,
        )
    ).eval()

    @torch.inference_mode()
    def encode(pixels: Tensor) -> Tensor:
        with autocast(CPU):
            encoded: Tensor = encoder(pixels)
        return encoded

    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        images = pack(folder / "train.zip", files, SAMPLE[name])
        return fastest({"all": lambda: prepare(folder, images, encode)}, rounds=1)["all"] / len(images)


def pack(path: Path, files: Files, count: int) -> list[ImageRecord]:
    """An archive of so many photographs, some of them repeatedly."""
    images: list[ImageRecord] = [{"id": number, "file_name": f"{number}.jpg"} for number in range(count)]
    with zipfile.ZipFile(path, "w") as archive:
        for image in images:
            archive.writestr(image["file_name"], files[image["id"] % len(files)])
    return images


def prepare(folder: Path, images: list[ImageRecord], encode: Callable[[Tensor], Tensor]) -> None:
    """What precompute_tensors and extract_features do for a split."""
    with pictures_in(folder / "train.zip") as pictures:
        precompute.write(folder, "train", pictures, images, 224, "crop", lambda items, _: items)
    features.write(
        folder / "features.npy",
        tensors.read(folder, "train"),
        encode,
        views=lambda pixels, _: [pixels],
        batch_size=64,
        progress=lambda starts, _: starts,
    )


def epoch(name: str, captions: EncodedCaptions, vocabulary: Vocabulary) -> float:
    """Seconds of Capflow's epoch."""
    channels = 2048 if name == "resnet50" else 512
    stored = np.random.default_rng(0).random((PICTURES, 1, 1, channels), np.float32).astype(np.float16)
    inputs, batches = StoredFeatures(stored, CPU), Batches(captions, np.arange(PICTURES), BATCH, "padded", 1)
    encoder = EncoderParams(
        name=name,
        weights="none",
        padding="torch",
        trainable=False,
        features="pooled",
        mirrored=False,
        crops=0,
    )
    square = TensorParams(size=224, fit="crop")
    config = CaptionerConfig(
        encoder=encoder, decoder=decoder_params(), tensors=square, crop=0, words=len(vocabulary)
    )
    model, params = Captioner(config), load_params().train
    phase = Phase(model, CrossEntropy(model, inputs, params), params, params.lr, 1, len(batches))

    def work() -> None:
        for batch in batches.epoch(1):
            phase.update([batch])

    return fastest({"epoch": work}, rounds=1)["epoch"]


def decoder_params() -> DecoderParams:
    """The tutorials' decoder."""
    return PARAMS.model_copy(update={"embedding": EMBEDDING, "hidden": HIDDEN})


if __name__ == "__main__":
    memory.keep()
    main()
