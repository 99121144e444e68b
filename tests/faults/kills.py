"""Trainings of a prepared checkout, killed at random moments until they end: the same bytes, the same record?

    python -m tests.faults.kills CHECKOUT --decoders lstm transformer --kills 25

CHECKOUT has run all stages before `train`; its params.yaml says what is trained, by each decoder, with one
epoch of rewards at the end. Each training happens twice in folders of its own that link to the checkout's
data: undisturbed, and killed (SIGKILL to all its processes) after a random time, started again, killed again,
until so many kills are done or it ends. Checkpoints are made every other second, not each minute, so that a
training of minutes can live through many kills.
"""

import argparse
import hashlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NoReturn

import yaml

from capflow import project
from capflow.models.captioner import DECODERS
from tests.checkout import ROOT, environment

FILES = ("data/model/model.safetensors", "metrics/train_epochs.csv", "metrics/train_steps.csv")
STAGE = """
from capflow.training import keeping
keeping.INTERVAL, keeping._SHARE = 2.0, 0.5
from stages import run, train
run(train.main)
"""


def workspace(checkout: Path, folder: Path, decoder: str) -> Path:
    """A folder that reads the checkout's data, and trains into its own."""
    (folder / "metrics").mkdir(parents=True)
    (folder / "dvc.yaml").write_text("stages: {}\n")
    params: dict[str, Any] = yaml.safe_load((checkout / "params.yaml").read_text())
    params["decoder"]["name"] = decoder
    params["train"]["self_critical"]["epochs"] = 1
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    (folder / project.MODEL).parent.mkdir()
    for path in (checkout / "data").iterdir():
        if path.name != project.MODEL.name:
            (folder / "data" / path.name).symlink_to(path)
    return folder


def start(folder: Path) -> "subprocess.Popen[bytes]":
    """The stage in a folder, its messages in its log."""
    own = {
        "DVC_ROOT": str(folder),
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    with (folder / "log.txt").open("a") as log:
        return subprocess.Popen(
            [sys.executable, "-c", STAGE],
            cwd=folder,
            env=environment() | own,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def killed(folder: Path, kills: int, longest: float, draw: random.Random) -> int:
    """Train to the end with kills in between; how many there were."""
    for done in range(kills):
        process = start(folder)
        try:
            code = process.wait(draw.uniform(0, longest))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            continue
        return done if code == 0 else failed(folder)
    return kills if start(folder).wait() == 0 else failed(folder)


def failed(folder: Path) -> NoReturn:
    """End with what the training has said."""
    sys.exit(f"error: a training failed:\n{(folder / 'log.txt').read_text()[-2000:]}")


def left(folder: Path) -> dict[str, object]:
    """What a training has left: digests, and the numbers of its runs in the record.

    One that was killed after its end is done once more, in a run of its own that has the same numbers.
    """
    digests = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES}
    numbers: dict[str, list[tuple[object, ...]]] = {}
    with sqlite3.connect(folder / "mlflow.db") as store:
        for run, *number in store.execute(
            "select run_uuid, key, step, value from metrics"
            " where key not in ('captions_per_second', 'train_seconds') order by key, step"
        ):
            numbers.setdefault(run, []).append(tuple(number))
    store.close()
    return digests | {"numbers": {tuple(each) for each in numbers.values()}}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--decoders", nargs="+", default=DECODERS, choices=DECODERS)
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--longest", type=float, default=30, help="seconds that a training lives at most")
    args = parser.parse_args()
    total = 0
    for decoder in args.decoders:
        with tempfile.TemporaryDirectory(prefix="kills-") as place:
            folders = [workspace(args.checkout.resolve(), Path(place) / name, decoder) for name in "ab"]
            began = time.monotonic()
            killed(folders[0], 0, 0, random.Random())
            lasted = time.monotonic() - began
            kills = killed(folders[1], args.kills, args.longest, random.Random(decoder))
            alone, disturbed = map(left, folders)
            resumed = (folders[1] / "log.txt").read_text().count("going on after step")
        for name, expected in alone.items():
            if disturbed[name] != expected:
                sys.exit(f"error: {decoder}: {name} differs after {kills} kills")
        total += kills
        told = f"{kills} kills, {resumed} times on from a checkpoint, everything equal"
        print(f"{decoder}: {lasted:.0f} s undisturbed; {told}", flush=True)  # noqa: T201
    print(f"{total} kills, everything equal")  # noqa: T201


if __name__ == "__main__":
    main()
