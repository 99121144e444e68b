import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capflow.data.sources import Missing
from capflow.data.sources.folder import FolderSource, FolderSpec, Shares, deal
from capflow.errors import CapflowError
from tests.photographs import jpeg


def source(**changes: Any) -> FolderSource:
    values = {
        "kind": "folder", "table": "captions.csv", "seed": 1, "captions": "all",
        "shares": {"val": 0.2, "test": 0.2}, "max_images": None,
    }  # fmt: skip
    return FolderSource(FolderSpec.model_validate(values | changes), Path("photos"))


@pytest.fixture
def photos(checkout: Path) -> Path:
    """Ten photographs in two folders, without a table."""
    root = checkout / "photos"
    for number in range(10):
        path = root / ("summer" if number % 2 else "winter") / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg(number))
    return root


def write_table(photos: Path, *lines: str) -> None:
    (photos / "captions.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_splits_by_image(photos: Path) -> None:
    rows = [
        f"{'summer' if n % 2 else 'winter'}/{n}.jpg,Caption {c} , of {n}" for n in range(10) for c in (1, 2)
    ]
    write_table(photos, "image,caption", *rows)
    splits = source().annotations()
    assert {split: len(part.images) for split, part in splits.items()} == {"train": 6, "val": 2, "test": 2}
    assert all(len(c) == 2 for part in splits.values() for c in part.captions_of().values())
    ids = [image["id"] for part in splits.values() for image in part.images]
    assert len(set(ids)) == 10
    assert splits == source().annotations()
    assert splits != source(seed=2).annotations()
    assert source().pack("train", splits["train"], Path("a.zip")) == []
    with zipfile.ZipFile("a.zip") as archive:
        for name in archive.namelist():
            assert archive.read(name) == jpeg(int(name.removesuffix(".jpg")[-1]))


def test_a_photograph_keeps_its_id_when_others_come(photos: Path) -> None:
    """Or runs of before would be compared with captions of other photographs."""
    numbers = []
    for names in ("summer/1.jpg winter/2.jpg", "summer/1.jpg winter/0.jpg winter/2.jpg"):
        write_table(photos, "image,caption", *(f"{name},something" for name in names.split()))
        parts = source().annotations().values()
        numbers.append({image["file_name"]: image["id"] for part in parts for image in part.images})
    before, after = numbers
    assert before == {name: after[name] for name in before}
    assert all(0 <= number < 2**53 for number in after.values())


def test_given_splits_are_kept(photos: Path) -> None:
    write_table(
        photos, "image,caption,split", "0.jpg,zero,test", "summer/1.jpg,one,dev", '2.jpg,"two, 2",train'
    )
    splits = source().annotations()
    names = {split: [image["file_name"] for image in part.images] for split, part in splits.items()}
    assert names == {"train": ["winter__2.jpg"], "val": ["summer__1.jpg"], "test": ["winter__0.jpg"]}


def test_listed_but_absent_or_no_picture(photos: Path) -> None:
    (photos / "winter/0.jpg").write_text("hello")
    write_table(photos, "image,caption,split", "0.jpg,zero,train", "x.jpg,x,train", "1.jpg,one,train")
    train = source().annotations()["train"]
    missing = source().pack("train", train, Path("a.zip"))
    assert missing == [Missing("winter__0.jpg", "it is text"), Missing("x.jpg", "there is no such file")]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], r"captions\.csv: the first line is \[''\]|the first line is \[\]"),
        (["image,caption,split", "0.jpg,zero,trian"], r"captions\.csv:2: the split 'trian' is none of"),
        (
            ["image,caption,split", "0.jpg,a,val", "0.jpg,b,train"],
            r"captions\.csv:3: 0\.jpg is in another split",
        ),
        (["image,caption,split", "0.jpg,a,b,val"], r"captions\.csv:2: .* is not a row"),
        (["image,caption", "../0.jpg,a"], r"captions\.csv:2: '\.\./0\.jpg' is no path below"),
        (["image,caption", "same.jpg,a"], r"captions\.csv:2: several photographs are called same\.jpg"),
        (["image,caption", "0.jpg, "], r"captions\.csv:2: the caption of 0\.jpg is empty"),
    ],
)
def test_bad_tables_are_named(photos: Path, lines: list[str], message: str) -> None:
    for folder in ("summer", "winter"):
        (photos / folder / "same.jpg").write_bytes(jpeg(1))
    write_table(photos, *lines)
    with pytest.raises(CapflowError, match=message):
        source().annotations()


def test_no_table(photos: Path) -> None:
    with pytest.raises(CapflowError, match=r"photos/captions\.csv: there is no such file"):
        source().annotations()


shares = st.tuples(st.floats(0, 0.49), st.floats(0, 0.49)).map(lambda s: Shares(val=s[0], test=s[1]))


@given(names=st.lists(st.text(), unique=True, max_size=40), shares=shares, seed=st.integers(0, 99))
def test_deal(names: list[str], shares: Shares, seed: int) -> None:
    splits = deal({}, names, shares, seed)
    assert sorted(splits) == sorted(names)
    assert splits == deal({}, names[::-1], shares, seed)
    for split, share in (("val", shares.val), ("test", shares.test)):
        count = list(splits.values()).count(split)  # type: ignore[arg-type]
        assert abs(count - share * len(names)) <= 1
        assert count > 0 or share == 0 or len(names) < 3
    if names:
        kept = deal({names[0]: "test"}, names, shares, seed)
        assert kept[names[0]] == "test"


def test_two_photographs_with_one_name_in_the_archive(photos: Path) -> None:
    write_table(photos, "image,caption", "summer/1.jpg,A dog", "summer__1.jpg,A cat")
    with pytest.raises(CapflowError, match=r"csv:3: summer__1\.jpg and summer/1\.jpg would have one name"):
        source().annotations()
