"""The model as MLflow has it: from code, with a signature, and captions as `capflow caption` writes them."""

import base64
import io
import json
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from capflow.doorkeeper import Limits
from capflow.photographs import PhotoCaptioner
from tests.served import App, Reply, body_of, packed, picture, unpacked
from tests.tiny import generate_params, pixels


class Watch:
    """Sees each file that is opened, each name that is looked up and each connection, while it looks."""

    def __init__(self) -> None:
        self.opened: list[tuple[str, Any]] = []
        self.looks = False
        sys.addaudithook(self)

    def __call__(self, event: str, what: Any) -> None:
        if self.looks and event in {"open", "socket.connect", "socket.getaddrinfo", "urllib.Request"}:
            self.opened.append((event, what))


WATCH = Watch()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    here = tmp_path_factory.mktemp("served")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        return unpacked(packed(here))


@pytest.fixture(scope="module")
def model(folder: Path) -> Any:
    from mlflow import pyfunc

    return pyfunc.load_model(str(folder))


@pytest.fixture
def app(model: Any, monkeypatch: pytest.MonkeyPatch) -> App:
    monkeypatch.setenv("_MLFLOW_IS_IN_SERVING_ENVIRONMENT", "true")
    return App(model, Limits(body=20_000, bodies=60_000, requests=8))


def test_the_folder_says_what_it_is_and_holds_no_pickle(folder: Path) -> None:
    names = {path.name for path in folder.rglob("*") if path.is_file() and "code" not in path.parts}
    assert names >= {"MLmodel", "serving.py", "model.safetensors", "config.json", "vocab.json", "search.json"}
    assert not {name for name in names if name.endswith((".pkl", ".pt", ".pth"))}
    assert (folder / "code/capflow/photographs.py").exists()
    told = yaml.safe_load((folder / "MLmodel").read_text())
    assert told["is_signature_from_type_hint"]
    assert set(json.loads(told["signature"]["inputs"])[0]["properties"]) == {"image", "best"}
    assert "caption" in told["signature"]["outputs"]
    assert json.loads((folder / "serving_input_example.json").read_text())["inputs"][0]["image"]
    required = (folder / "requirements.txt").read_text().splitlines()
    assert all("==" in line and "+" not in line for line in required)
    assert {line.partition("==")[0] for line in required} >= {"torch", "safetensors", "mlflow"}


def test_captions_are_those_of_the_command_line(folder: Path, app: App) -> None:
    captioner = PhotoCaptioner.load(folder / "artifacts/model")
    said = captioner([pixels(n + 1)[n] for n in range(3)], generate_params(beam=3))
    reply = app.ask(body_of(*({"image": picture(n)} for n in range(3))))
    assert reply.status == 200
    assert [row["caption"] for row in reply.content["predictions"]] == [text for text, _ in said]
    np.testing.assert_allclose(
        [row["log_p"] for row in reply.content["predictions"]], [log_p for _, log_p in said], atol=1e-3
    )
    assert all(row["best"] is None for row in reply.content["predictions"])


def test_the_best_come_where_they_are_asked_for(app: App) -> None:
    one, five = app.ask(body_of({"image": picture(0)}, {"image": picture(1), "best": 5})).content[
        "predictions"
    ]
    assert one["best"] is None
    assert len({said["caption"] for said in five["best"]}) == 5
    assert five["best"][0] == {"caption": five["caption"], "log_p": five["log_p"]}
    scores = [said["log_p"] for said in five["best"]]
    assert scores == sorted(scores, reverse=True)


def refused(reply: Reply, status: int, words: str) -> None:
    assert reply.status == status, reply
    assert words in reply.content["error"]
    assert len(reply.content["error"]) < 1100
    assert "\n" not in reply.content["error"]
    assert "input_value" not in reply.content["error"]
    assert "Input:" not in reply.content["error"]
    assert "Traceback" not in str(reply.content)


@pytest.mark.parametrize(
    "image",
    [
        "/etc/hostname",
        "file:///etc/hostname",
        "../model/config.json",
        "http://127.0.0.1:1/a.jpg",
        "https://localhost/a.jpg",
        "s3://bucket/a.jpg",
        "data:image/png;base64,AAAA",
        "",
        "AAAA",
        base64.b64encode(b"no picture at all" * 100).decode(),
        "!" * 5000,
    ],
)
def test_row_50_what_is_no_picture_is_refused_and_nothing_is_opened(image: str, app: App) -> None:
    app.ask(body_of({"image": "AAAA"}))  # whatever is imported only now
    WATCH.opened, WATCH.looks = [], True
    try:
        reply = app.ask(body_of({"image": image}))
    finally:
        WATCH.looks = False
    refused(reply, 400, "picture 1: ")
    assert WATCH.opened == []


def test_the_watch_sees_files_and_connections(tmp_path: Path) -> None:
    WATCH.opened, WATCH.looks = [], True
    try:
        (tmp_path / "a").write_bytes(b"")
        with socket.socket() as probe, suppress(OSError):
            probe.connect(("127.0.0.1", 1))
    finally:
        WATCH.looks = False
    assert [event for event, _ in WATCH.opened] == ["open", "socket.connect"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[1]",
        b"\xff\xfe",
        b"{",
        b"[" * 9000,
        b'{"inputs": [' + b"1" * 9000 + b"]}",
        b'{"instances": [{"image": "AAAA"}]}',
        b'{"dataframe_records": [{"image": "AAAA"}]}',
        body_of("AAAA"),
        body_of({"image": 3}),
        body_of({"picture": "AAAA"}),
        body_of({"image": "AAAA", "url": "http://127.0.0.1/"}),
        body_of({"image": "AAAA", "best": 0}),
        body_of({"image": "AAAA", "best": 17}),
        body_of({"image": "AAAA", "best": "many"}),
        body_of({"image": "A" * 15_000, "best": 99}),
        body_of(*({"image": ""} for _ in range(65))),
    ],
)
def test_row_50_wrong_requests_are_one_sentence(body: bytes, app: App) -> None:
    refused(app.ask(body), 400, "")


def test_row_50_how_many_captions_there_may_be_is_told(app: App) -> None:
    refused(app.ask(body_of({"image": picture(0), "best": 17})), 400, "1 to 16")


def test_row_50_large_bodies_are_refused_unread(app: App) -> None:
    large = body_of({"image": "A" * 30_000})
    refused(app.ask(large), 413, "a request may have 20000 bytes")
    refused(app.ask_in_chunks(*[large[:9000]] * 5), 413, "a request may have 20000 bytes")
    refused(app.ask(b"a,b", content_type="text/csv"), 415, "application/json")
    refused(app.ask(b"a,b", content_type=""), 415, "application/json")
    assert app.ask(body_of({"image": picture(0)})).status == 200


def test_row_50_a_thousand_requests_at_once_are_answered_or_told_to_come_again(app: App) -> None:
    replies = app.ask_all([body_of({"image": picture(n % 3)}) for n in range(1000)])
    answered = [reply for reply in replies if reply.status == 200]
    for reply in replies:
        if reply.status != 200:
            refused(reply, 429, "too many requests at once")
    assert len(answered) >= 8
    alone = app.ask(body_of({"image": picture(0)}))
    assert alone.content["predictions"][0]["caption"] in {
        reply.content["predictions"][0]["caption"] for reply in answered
    }


def test_pictures_of_too_many_pixels_are_refused(app: App) -> None:
    stream = io.BytesIO()
    Image.new("1", (9000, 8000)).save(stream, "PNG")
    reply = app.ask(body_of({"image": base64.b64encode(stream.getvalue()).decode()}))
    refused(reply, 400, "picture 1: cannot be read as a picture (more than 64 megapixels)")
