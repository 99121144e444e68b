"""Clients that caption a photograph again and again on MLflow's scoring server, on loopback.

`python -m benchmarks.serving --seconds 60 --clients 50`; without options a short look. What is served is
data/model, or, where nothing is trained yet, the model of params.yaml as it was born.
"""

import argparse
import base64
import http.client
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.report import environment, require, row
from capflow.models.captioner import Captioner, CaptionerConfig, save_captioner
from capflow.models.search import write_search
from capflow.params import Params, load_params
from capflow.text.vocabulary import SPECIALS, Vocabulary
from capflow.tracking import models

SIDE = 480
WORDS = 100
START = 120.0  # seconds until the server has to answer


def main() -> None:
    """Serve, ask, and print."""
    reader = argparse.ArgumentParser(description=__doc__)
    reader.add_argument("--seconds", type=float, default=5.0)
    reader.add_argument("--clients", type=int, default=50)
    chosen = reader.parse_args()
    root = Path.cwd()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        archive = pack(root, folder)
        with zipfile.ZipFile(archive) as stream:
            stream.extractall(folder / "served")
        load = measure(folder / "served", chosen.clients, chosen.seconds)
    require(equal=bool(load.times), complaint=f"no request was answered: {load.errors[:1]}")
    print(
        f"{chosen.clients} clients, {load.seconds:.1f} s: {len(load.times)} captions; {load.errors[:1] or ''}"
    )
    row(
        18,
        f"mlflow models serve, {chosen.clients} clients for {chosen.seconds:g} s",
        summary(load),
        "no error",
        met=not load.errors,
    )


@dataclass(frozen=True)
class Load:
    """What became of requests: seconds of each answer, what went wrong, seconds until all were done."""

    times: list[float]
    errors: list[str]
    seconds: float


def summary(load: Load) -> str:
    """Throughput, latency and errors in words."""
    middle, late, last = np.quantile(load.times, (0.5, 0.95, 0.99)) * 1e3
    return (
        f"{len(load.times) / load.seconds:.0f} captions a second; "
        f"{middle:.0f} ms (median), {late:.0f} ms (95 %), {last:.0f} ms (99 %), "
        f"{max(load.times) * 1e3:.0f} ms (most); {len(load.errors)} errors"
    )


def pack(root: Path, folder: Path) -> Path:
    """The model as MLflow has it."""
    params = load_params(root / "params.yaml")
    source = root / "data/model"
    model = folder / "model"
    if source.exists():
        model.mkdir()
        for path in source.iterdir():
            (model / path.name).write_bytes(path.read_bytes())
    else:
        save_captioner(model, newborn(params), vocabulary())
    write_search(model, params.generate)
    os.environ["DVC_ROOT"] = str(folder)
    models.pack(model, folder / "model.zip")
    return folder / "model.zip"


def newborn(params: Params) -> Captioner:
    """The model of the parameters with random weights."""
    return Captioner(
        CaptionerConfig(
            encoder=params.encoder,
            decoder=params.decoder,
            tensors=params.tensors,
            crop=params.train.augment.crop,
            words=WORDS,
        )
    )


def vocabulary() -> Vocabulary:
    """As many words as it takes."""
    return Vocabulary((*SPECIALS, *(f"word{n:02}" for n in range(WORDS - len(SPECIALS)))), punctuation=False)


def measure(model: Path, clients: int, seconds: float) -> Load:
    """What became of the requests to a server of its own."""
    port = 20_000 + os.getpid() % 20_000
    words = ["-m", str(model), "--env-manager", "local", "--host", "127.0.0.1", "--port", str(port)]
    command = [sys.executable, "-m", "mlflow", "models", "serve", *words]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    server = subprocess.Popen(  # noqa: S603 - our own
        command,
        env=environment() | {"PATH": path},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_for(port, server)
        body = json.dumps({"inputs": [{"image": photograph()}]}).encode()
        ask(http.client.HTTPConnection("127.0.0.1", port, timeout=60), body)
        return swarm(port, body, clients, seconds)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def wait_for(port: int, server: "subprocess.Popen[bytes]") -> None:
    """Wait until the server answers."""
    deadline = time.monotonic() + START
    while time.monotonic() < deadline and server.poll() is None:
        with suppress(OSError):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/ping")
            if connection.getresponse().status == 200:
                return
        time.sleep(0.2)
    sys.exit("error: the server did not start.")


def swarm(port: int, body: bytes, clients: int, seconds: float) -> Load:
    """All clients at once, each with a connection of its own, until the time is over."""
    times: list[float] = []
    errors: list[str] = []
    start = time.monotonic()
    deadline = start + seconds

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        while time.monotonic() < deadline:
            began = time.perf_counter()
            try:
                ask(connection, body)
            except (OSError, http.client.HTTPException, RuntimeError) as error:
                errors.append(repr(error))
                connection.close()
            else:
                times.append(time.perf_counter() - began)

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Load(times, errors, time.monotonic() - start)


def ask(connection: http.client.HTTPConnection, body: bytes) -> None:
    """Send a picture and read its caption.

    Raises:
        RuntimeError: the answer is no caption.
    """
    connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    content = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"{answer.status} {content[:200]!r}")


def photograph() -> str:
    """A JPEG of the size of a photograph from the web."""
    blocks = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(blocks).resize((640, SIDE)).save(stream, "JPEG", quality=90)
    return base64.b64encode(stream.getvalue()).decode()


if __name__ == "__main__":
    main()
