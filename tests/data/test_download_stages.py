import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.checkout import ROOT
from tests.faults.server import Server
from tests.stage_processes import choose_coco, stage


@pytest.fixture
def coco(checkout: Path, mirror: Server) -> Server:
    """A checkout whose data set is the tiny COCO."""
    choose_coco(checkout, mirror.url)
    return mirror


def test_from_a_mirror_to_archives(coco: Server, checkout: Path) -> None:
    done = stage("download_annotations")
    assert (done.returncode, done.stdout) == (0, "")
    assert "info: train: 4 pictures, 8 captions" in done.stderr.splitlines()
    assert {path.name for path in (checkout / "data/annotations").iterdir()} == {
        "train.json",
        "val.json",
        "test.json",
    }
    done = stage("download_images")
    assert (done.returncode, done.stdout) == (0, "")
    counts = json.loads((checkout / "metrics/pictures.json").read_text(encoding="utf-8"))
    assert counts["val"] == {"wanted": 3, "packed": 3, "missing": 0}
    assert (checkout / "metrics/missing.csv").read_text(encoding="utf-8") == "split,file_name,reason\n"
    assert {path.name for path in (checkout / "data/images").iterdir()} == {
        "train.zip",
        "val.zip",
        "test.zip",
    }


def test_too_many_missing_pictures(coco: Server, checkout: Path) -> None:
    picture = coco.root / "val2014/COCO_val2014_000000000102.jpg"
    picture.rename(picture.with_suffix(".away"))
    stage("download_annotations")
    done = stage("download_images")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(
        "error: metrics/missing.csv: 1 of 3 pictures of val are missing"
    )
    table = (checkout / "metrics/missing.csv").read_text(encoding="utf-8").splitlines()
    assert table[1:] == ["val,COCO_val2014_000000000102.jpg,HTTP 404 Not Found"]
    picture.with_suffix(".away").rename(picture)
    asked = len(coco.asked)
    assert stage("download_images").returncode == 0
    assert coco.paths()[asked:] == ["/val2014/COCO_val2014_000000000102.jpg"]


def test_a_few_missing_pictures_are_asked_for_again_on_request(coco: Server, checkout: Path) -> None:
    parameters = checkout / "params.yaml"
    parameters.write_text(re.sub(r"max_missing: \S+", "max_missing: 0.4", parameters.read_text()))
    (coco.root / "val2014/COCO_val2014_000000000102.jpg").unlink()
    stage("download_annotations")
    done = stage("download_images")
    assert done.returncode == 0
    assert "warning: pictures left out: 1, as metrics/missing.csv says; `dvc repro -f" in done.stderr


def test_an_interruption_exits_with_130() -> None:
    code = "from stages import run\ndef main():\n    raise KeyboardInterrupt\nrun(main)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (130, b"")


def test_bad_input_is_one_sentence(coco: Server, checkout: Path) -> None:
    (checkout / "data/sources/coco2014/dataset.yaml").write_text("kind: nonsense\n", encoding="utf-8")
    done = stage("download_annotations")
    assert done.returncode == 1
    assert done.stderr.startswith("error: data/sources/coco2014/dataset.yaml: `kind` is 'nonsense'")
    assert done.stderr.count("\n") == 1
