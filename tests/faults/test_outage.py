"""What came before stays of use while its server is away, and is not sent again afterwards; rows 2 and 9."""

import json
from pathlib import Path

import pytest

from capflow import project
from capflow.data import manifest
from capflow.data.download import fetch
from capflow.data.sources.coco import CocoSource
from tests.data.test_karpathy import karpathy_json
from tests.faults.server import Fault, Server
from tests.faults.store import request, stored
from tests.tiny_coco import HOME, spec


def packed(mirror: Server, split: str) -> int:
    """Make a split of COCO's whole; how many pictures could not be had."""
    source = CocoSource(spec(mirror, split=split), HOME)
    parts = source.annotations().items()
    return sum(len(source.pack(name, part, Path(f"{name}.zip"))) for name, part in parts)


def pictures(paths: list[str]) -> list[str]:
    return [path for path in paths if path.endswith(".jpg")]


@pytest.mark.usefixtures("checkout")
def test_row_02_pictures_keep_their_edition_in_another_split(mirror: Server) -> None:
    (HOME / "dataset_coco.json").write_text(json.dumps(karpathy_json()), encoding="utf-8")
    assert packed(mirror, "official") == 0
    asked = len(mirror.asked)
    assert packed(mirror, "karpathy") == 0
    assert packed(mirror, "official") == 0
    assert pictures(mirror.paths()[asked:]) == []


@pytest.mark.usefixtures("checkout")
def test_row_02_whole_pictures_outlive_an_outage(mirror: Server, caplog: pytest.LogCaptureFixture) -> None:
    assert packed(mirror, "official") == 0
    source = CocoSource(spec(mirror), HOME)
    val = source.annotations()["val"]
    val.info["editions"] = {"val2014": "another"}
    mirror.always = Fault(status=503)
    assert source.pack("val", val, Path("val.zip")) == []
    assert "HTTP 503 Service Unavailable; what it sent before is used" in caplog.text
    entries = manifest.read(project.downloads()).values()
    assert {entry.state for entry in entries if entry.path.endswith(".jpg")} == {"done"}
    mirror.always = Fault()
    asked, sent = len(mirror.asked), mirror.sent.copy()
    assert source.pack("val", val, Path("val.zip")) == []
    assert len(mirror.paths()[asked:]) == 3  # each of them is asked whether it has changed
    assert mirror.sent == sent


@pytest.mark.parametrize("change", ["rotten", "refused", "gone", "begun"])
def test_row_02_what_is_not_whole_or_not_there_any_more_is_not_kept(server: Server, change: str) -> None:
    wanted = request(f"{server.url}/0.bin", lambda _: None, edition="one")
    assert fetch([wanted], "first") == []
    if change == "rotten":
        wanted.target.write_bytes(b"x" * wanted.target.stat().st_size)
    if change == "begun":
        server.etag = '"2"'
        server.faults["/0.bin"] = [Fault(cut=5000)]
    status = {"refused": 403, "gone": 404}.get(change, 503)
    server.always = Fault(status=status)
    (failure,) = fetch([wanted._replace(edition="two")], "second")
    assert failure.reason.startswith("HTTP ")
    assert manifest.read(project.downloads())["0.bin"].state == ("missing" if status == 404 else "failed")


def test_row_02_what_is_kept_is_counted_and_not_listed(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    wanted = [request(f"{server.url}/{number}.bin", edition=None) for number in range(5)]
    assert fetch(wanted, "first") == []
    whole = stored()
    server.always = Fault(status=503)
    assert fetch(wanted, "second") == []
    assert " and 4 others: HTTP 503 Service Unavailable; what it sent before is used" in caplog.text
    assert (stored(), len(caplog.records)) == (whole, 1)
