import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from capflow.data.sources import Missing
from capflow.data.sources.flickr8k import Flickr8kSpec, FlickrSource, _file_name
from capflow.data.sources.flickr30k import FLICKR30K, Flickr30kSpec
from capflow.errors import CapflowError
from tests.photographs import jpeg

NAMES = [f"{number}_ab.jpg" for number in range(1, 6)]
CSV = "image,caption\n" + "".join(f'{name},"A dog , running ."\n{name},Two dogs .\n' for name in NAMES)
BARE = CSV.replace('"', "")
TOKENS = "".join(f"{name}#0\tA dog , running .\n{name}#1\tTwo dogs .\n" for name in NAMES)
STRAY = "2258277193_586949ec62.jpg.1#0\tNobody has this one .\n"


def spec(**changes: Any) -> Flickr8kSpec:
    given = {"kind": "flickr8k", "captions": "all", "max_images": None}
    return Flickr8kSpec.model_validate(given | changes)


def lay_out(root: Path, captions: str, text: str, lists: dict[str, str], folder: str) -> None:
    """Write Flickr8k with splits of 3, 1 and 1 pictures."""
    root.mkdir()
    (root / captions).write_text(text, encoding="utf-8")
    parts = (NAMES[:3], NAMES[3:4], NAMES[4:])
    for (name, end), part in zip(lists.items(), parts, strict=False):
        (root / name).write_text("".join(p.removesuffix(end) + "\n" for p in part), encoding="utf-8")
    if folder.endswith(".zip"):
        with zipfile.ZipFile(root / folder, "w") as archive:
            for number, name in enumerate(NAMES):
                archive.writestr(f"Flicker8k_Dataset/{name}", jpeg(number))
    else:
        (root / folder).mkdir(exist_ok=True)
        for number, name in enumerate(NAMES):
            (root / folder / name).write_bytes(jpeg(number))


PLAIN = {"train.txt": "", "dev.txt": "", "test.txt": ""}
ORIGINAL = {f"Flickr_8k.{part}Images.txt": "" for part in ("train", "dev", "test")}
NO_ENDING = {"train.txt": ".jpg", "dev.txt": ".jpg", "test.txt": ".jpg"}


@pytest.mark.parametrize(
    ("captions", "text", "lists", "folder"),
    [
        ("captions.csv", CSV, PLAIN, "images.zip"),
        ("captions.txt", BARE, NO_ENDING, "Images"),
        ("Flickr8k.token.txt", TOKENS + STRAY, ORIGINAL, "Flicker8k_Dataset"),
        ("captions.txt", "\ufeff" + CSV.replace("\n", "\r\n"), PLAIN, "."),
    ],
)
def test_every_form(checkout: Path, captions: str, text: str, lists: dict[str, str], folder: str) -> None:
    lay_out(checkout / "flickr", captions, text, lists, folder)
    source = FlickrSource(spec(), Path("flickr"))
    splits = source.annotations()
    assert [[i["file_name"] for i in splits[s].images] for s in ("train", "val", "test")] == [
        NAMES[:3], NAMES[3:4], NAMES[4:],
    ]  # fmt: skip
    for part in splits.values():
        assert set(map(tuple, part.captions_of().values())) == {("A dog , running .", "Two dogs .")}
    assert source.pack("train", splits["train"], Path("train.zip")) == []
    with zipfile.ZipFile("train.zip") as archive:
        assert archive.read(NAMES[1]) == jpeg(1)


def test_some_pictures_with_one_caption_each(checkout: Path) -> None:
    lay_out(checkout / "flickr", "captions.csv", CSV, PLAIN, "images.zip")
    source = FlickrSource(spec(max_images=1, captions="first"), Path("flickr"))
    train = source.annotations()["train"]
    assert [image["file_name"] for image in train.images] == NAMES[:1]
    assert len(train.annotations) == 1


def test_without_a_test_list(checkout: Path) -> None:
    lay_out(checkout / "f", "captions.csv", CSV, {"train.txt": "", "dev.txt": ""}, "images.zip")
    splits = FlickrSource(spec(), Path("f")).annotations()
    assert (len(splits["val"].images), splits["test"].images) == (1, [])


def test_absent_and_broken_pictures(checkout: Path) -> None:
    lay_out(checkout / "f", "captions.csv", CSV, PLAIN, "Images")
    (checkout / "f/Images" / NAMES[0]).unlink()
    (checkout / "f/Images" / NAMES[1]).write_text("<html>")
    source = FlickrSource(spec(), Path("f"))
    missing = source.pack("train", source.annotations()["train"], Path("train.zip"))
    assert missing == [Missing(NAMES[0], "there is no such file"), Missing(NAMES[1], "it is an HTML page")]


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("captions.csv", None, r"no captions\.csv or captions\.txt or Flickr8k\.token\.txt"),
        ("train.txt", None, r"no train\.txt or Flickr_8k\.trainImages\.txt"),
        ("train.txt", "unknown.jpg\n", r"train\.txt: unknown\.jpg has no captions"),
        ("dev.txt", NAMES[0], r"dev\.txt: 1_ab\.jpg is in train too"),
        ("dev.txt", b"\xff", r"dev\.txt: not UTF-8"),
        ("captions.csv", "a,b\n", r"captions\.csv: the first line"),
        (
            "captions.csv",
            f"image,caption\n{NAMES[0]},\n",
            r"captions\.csv:2: the caption of 1_ab\.jpg is empty",
        ),
        ("captions.csv", 'image,caption\na.jpg,"open', r"captions\.csv: not a CSV"),
        ("captions.csv", "image,caption\n,text\n", r"captions\.csv:2: "),
    ],
)
def test_bad_input_is_named(checkout: Path, file: str, content: str | bytes | None, message: str) -> None:
    lay_out(checkout / "f", "captions.csv", CSV, PLAIN, "images.zip")
    if content is None:
        (checkout / "f" / file).unlink()
    else:
        (checkout / "f" / file).write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(CapflowError, match=message):
        FlickrSource(spec(), Path("f")).annotations()


def test_bad_tokens_and_no_pictures_are_named(checkout: Path) -> None:
    lay_out(checkout / "f", "Flickr8k.token.txt", TOKENS + "no tab here", PLAIN, "images.zip")
    source = FlickrSource(spec(), Path("f"))
    with pytest.raises(CapflowError, match=r"token\.txt:11: 'no tab here' has no tab"):
        source.annotations()
    (checkout / "f/Flickr8k.token.txt").write_text(TOKENS, encoding="utf-8")
    (checkout / "f/images.zip").unlink()
    with pytest.raises(CapflowError, match=r"no images\.zip and no folder Images"):
        source.pack("train", source.annotations()["train"], Path("x.zip"))


def karpathy_json(splits: str = "train train train val test") -> str:
    images = [
        {"filename": name, "split": split, "sentences": [{"raw": "A dog ."}, {"raw": "Two dogs ."}]}
        for name, split in zip(NAMES, splits.split(), strict=True)
    ]
    return json.dumps({"images": images})


def flickr30k(root: str) -> FlickrSource:
    given = {"kind": "flickr30k", "captions": "all", "max_images": None}
    return FlickrSource(Flickr30kSpec.model_validate(given), Path(root), FLICKR30K)


BARS = "image_name| comment_number| comment\n" + "".join(
    f"{name}| 0| A dog , running .\n{name}| 1   Two dogs .\n" for name in NAMES
)


@pytest.mark.parametrize(
    ("captions", "text"), [("results.csv", BARS), ("results_20130124.token", TOKENS), ("captions.txt", CSV)]
)
def test_flickr30k(checkout: Path, captions: str, text: str) -> None:
    names = {"train.txt": ".jpg", "val.txt": ".jpg", "test.txt": ".jpg"}
    lay_out(checkout / "f", captions, text, names, "flickr30k-images")
    splits = flickr30k("f").annotations()
    assert [len(splits[split].images) for split in ("train", "val", "test")] == [3, 1, 1]
    assert set(map(tuple, splits["train"].captions_of().values())) == {("A dog , running .", "Two dogs .")}
    assert flickr30k("f").pack("val", splits["val"], Path("val.zip")) == []


@pytest.mark.parametrize("name", ["dataset_flickr8k.json", "dataset_flickr30k.json"])
def test_karpathys_file_has_captions_and_splits(checkout: Path, name: str) -> None:
    lay_out(checkout / "f", "unused.csv", "", {}, "Images")
    (checkout / "f" / name).write_text(karpathy_json(), encoding="utf-8")
    source = flickr30k("f") if "30k" in name else FlickrSource(spec(), Path("f"))
    splits = source.annotations()
    assert [len(splits[split].images) for split in ("train", "val", "test")] == [3, 1, 1]
    assert splits["test"].captions_of() == {5: ["A dog .", "Two dogs ."]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "no list `images`"),
        ('{"images": [{"filename": "a.jpg", "split": "dev", "sentences": []}]}', r"images\[0\]: has no"),
        (
            '{"images": [{"filename": "../a.jpg", "split": "val", "sentences": [{"raw": "x"}]}]}',
            "not the plain name",
        ),
    ],
)
def test_bad_files_of_karpathys_are_named(checkout: Path, content: str, message: str) -> None:
    (checkout / "dataset_flickr30k.json").write_text(content, encoding="utf-8")
    with pytest.raises(CapflowError, match=r"dataset_flickr30k\.json: .*" + message):
        flickr30k(".").annotations()


def test_a_line_without_bars_is_named(checkout: Path) -> None:
    lay_out(checkout / "f", "results.csv", BARS + "nothing", PLAIN, "Images")
    with pytest.raises(CapflowError, match=r"results\.csv:12: 'nothing' is not name"):
        flickr30k("f").annotations()


def test_captions_stay_with_their_pictures(checkout: Path) -> None:
    lay_out(
        checkout / "f",
        "captions.csv",
        "image,caption\n1_ab.jpg,A dog\n1_ab.jpg_2.jpg,A cat\n",
        PLAIN,
        "images.zip",
    )
    with pytest.raises(CapflowError):
        FlickrSource(spec(), Path("f")).annotations()
    assert [_file_name(name) for name in ("1", "1.jpg.1", "1.jpg_2.jpg", "1.png")] == [
        "1.jpg",
        "1.jpg",
        "1.jpg_2.jpg",
        "1.png",
    ]
