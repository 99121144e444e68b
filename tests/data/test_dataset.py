from pathlib import Path

import pytest

from capflow.data import dataset
from capflow.data.sources.coco import CocoSource, CocoSpec
from capflow.errors import CapflowError
from capflow.params import DataParams
from tests.checkout import ROOT

ENTRIES = sorted(path.parent.name for path in (ROOT / "data/sources").glob("*/dataset.yaml"))


def chosen(name: str) -> DataParams:
    return DataParams(name=name, root="data/photos", max_missing=0.0)


@pytest.mark.parametrize("name", ENTRIES)
@pytest.mark.usefixtures("checkout")
def test_every_entry_opens(name: str) -> None:
    dataset.open_source(chosen(name))


@pytest.mark.usefixtures("checkout")
def test_coco_is_known_exactly() -> None:
    assert isinstance(dataset.open_source(chosen("coco2014")), CocoSource)
    for year, pictures in (("2014", (82783, 40504, 40775)), ("2017", (118287, 5000, 40670))):
        spec = dataset.load_spec(f"coco{year}")
        assert isinstance(spec, CocoSpec)
        assert tuple(spec.splits[split].images for split in ("train", "val", "test")) == pictures
        assert {part.folder.removesuffix(year) for part in spec.splits.values()} == {"train", "val", "test"}


def test_unknown_data_set_lists_the_known(checkout: Path) -> None:
    with pytest.raises(CapflowError, match=r"no data set 'coco2015'; known are .*coco2014, coco2017"):
        dataset.load_spec("coco2015")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("kind: coco", "kind: cocoa", "`kind` is 'cocoa': input should be 'scenes', 'coco'"),
        ("kind: coco", "", "the parameter `kind` is missing"),
        ("max_images: null", "max_images: 0", "`max_images` is 0"),
        ("captions: all", "captions: some", "`captions` is 'some'"),
        ("karpathy: null", "karpathy: https://x.org/k.zip?d=1", "`karpathy` is 'https://x"),
        ("mirror: null", "mirror: ftp://x", "`mirror` is 'ftp://x'"),
        ("mirror: null", "miror: null", "there is no parameter `miror`|the parameter `mirror` is missing"),
        (
            "path: zips/train2014.zip",
            "path: ../train2014.zip",
            r"`splits\.train\.zip\.path` is '\.\./train2014",
        ),
    ],
)
def test_bad_entries_are_named(checkout: Path, old: str, new: str, message: str) -> None:
    path = checkout / "data/sources/coco2014/dataset.yaml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(CapflowError, match=rf"coco2014/dataset\.yaml: ({message})"):
        dataset.load_spec("coco2014")
