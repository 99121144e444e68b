"""A tiny model as MLflow has it, and requests to MLflow's scoring server without a socket."""

import asyncio
import base64
import io
import json
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from capflow.doorkeeper import Limits, guard_the_next_server
from capflow.models.captioner import save_captioner
from capflow.models.search import write_search
from capflow.tracking import models
from tests.tiny import VOCABULARY, captioner, generate_params, pixels


def model_folder(folder: Path) -> Path:
    """A model with random weights that says different things of different pictures."""
    model = captioner(0, sharpness=4, decoder={"batch_norm": True}, encoder={"features": "grid"})
    save_captioner(folder / "model", model, VOCABULARY)
    write_search(folder / "model", generate_params(beam=3))
    return folder / "model"


def packed(folder: Path) -> Path:
    """The ZIP that goes to MLflow."""
    (folder / "dvc.yaml").write_text("stages: {}\n")
    models.pack(model_folder(folder), folder / "model.zip")
    return folder / "model.zip"


def unpacked(archive: Path) -> Path:
    """The folder that MLflow loads and serves."""
    with zipfile.ZipFile(archive) as stream:
        stream.extractall(archive.parent / "unpacked")
    return archive.parent / "unpacked"


def picture(number: int) -> str:
    """One of a few pictures, as base64."""
    stream = io.BytesIO()
    Image.fromarray(pixels(number + 1)[number]).save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode()


def body_of(*inputs: Any) -> bytes:
    return json.dumps({"inputs": list(inputs)}).encode()


class Reply(NamedTuple):
    status: int
    content: Any


class App:
    """The scoring server of a model, called as a web server calls it."""

    def __init__(self, model: Any, limits: Limits) -> None:
        from mlflow.pyfunc import scoring_server

        guard_the_next_server(limits)
        self._app = scoring_server.init(model)

    def ask(self, body: bytes, **headers: str) -> Reply:
        """Send one request."""
        return asyncio.run(self._ask([body], headers))

    def ask_in_chunks(self, *chunks: bytes) -> Reply:
        """Send one request whose length is not stated."""
        return asyncio.run(self._ask(list(chunks), {"content-length": ""}))

    def ask_all(self, bodies: list[bytes]) -> list[Reply]:
        """Send requests at once."""

        async def together() -> list[Reply]:
            return await asyncio.gather(*(self._ask([body], {}) for body in bodies))

        return asyncio.run(together())

    async def _ask(self, chunks: list[bytes], changes: dict[str, str]) -> Reply:
        length = str(sum(map(len, chunks)))
        headers = {"content-type": "application/json", "content-length": length}
        headers |= {name.replace("_", "-"): value for name, value in changes.items()}
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "POST",
            "path": "/invocations",
            "raw_path": b"/invocations",
            "root_path": "",
            "scheme": "http",
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items() if value],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 2),
        }
        left, sent = list(chunks), []

        async def receive() -> dict[str, Any]:
            if not left:
                await asyncio.sleep(3600)
            return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

        async def send(message: Any) -> None:
            sent.append(message)

        await self._app(scope, receive, send)
        content = b"".join(message.get("body", b"") for message in sent[1:])
        return Reply(sent[0]["status"], json.loads(content))
