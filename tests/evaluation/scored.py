"""A checkout whose model has captioned five pictures of val and of test."""

from pathlib import Path

from capflow import project
from capflow.data import annotations, archives
from capflow.data.annotations import Annotations
from capflow.data.captions import EncodedCaptions, tokenise_all
from capflow.files import write_json, write_text
from capflow.params import SPLITS, Split
from capflow.text.vocabulary import Vocabulary
from tests.checkout import ROOT
from tests.photographs import jpeg

VOCABULARY = Vocabulary.from_counts(
    dict.fromkeys(["a", "dog", "in", "room", *"12345"], 1), threshold=1, punctuation=False
)


def put(split: Split, *there: int) -> None:
    """Write a split of five captioned pictures, some of which have a row, and their predictions."""
    numbers = range(1, 6)
    records = Annotations(
        [{"id": number, "file_name": f"{number}.jpg"} for number in numbers],
        [{"id": number, "image_id": number, "caption": f"A dog in room {number}."} for number in numbers],
    )
    annotations.write(project.ANNOTATIONS / f"{split}.json", records)
    words = tokenise_all(records.only(set(there)), punctuation=False)
    EncodedCaptions.encode(words, VOCABULARY).save(project.VOCAB / split)
    assert (
        archives.pack(project.IMAGES / f"{split}.zip", [f"{n}.jpg" for n in there], lambda _: jpeg(1)) == []
    )
    write_json(project.TENSORS / f"{split}.json", {"ids": there})
    captions = [{"image_id": number, "caption": f"a dog in room {number}"} for number in there]
    write_json(project.PREDICTIONS / f"{split}.json", captions)


def count(**left_out: tuple[int, int]) -> None:
    """Write how many of five pictures of each split are missing, and how many damaged."""
    splits: dict[str, tuple[int, int]] = {"train": (0, 0), "val": (0, 0), "test": (0, 0)} | left_out
    packed = {s: {"wanted": 5, "packed": 5 - gone, "missing": gone} for s, (gone, _) in splits.items()}
    write_json(project.METRICS / "pictures.json", packed)
    write_json(project.METRICS / "tensors.json", {"damaged": {s: bad for s, (_, bad) in splits.items()}})


def fill(folder: Path) -> None:
    """Make the working directory, ``folder``, such a checkout."""
    (folder / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    write_text(project.VOCAB / "vocab.json", VOCABULARY.to_json())
    for split in SPLITS:
        put(split, 1, 2, 3, 4, 5)
    for name in ("train_steps", "train_epochs"):
        write_text(project.METRICS / f"{name}.csv", "")
    count()
