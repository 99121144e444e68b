"""Tiny trainings by the real stage, in processes that can be killed; what they leave behind.

A parent that has loaded all that the stage imports forks one for each order, which takes milliseconds.
"""

import json
import os
import select
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, NoReturn

import mlflow.store.tracking.sqlalchemy_workspace_store  # noqa: F401 -- no fork has to load it
import numpy as np
import pytest
import yaml
from safetensors.torch import save_file

from capflow import project, tracking
from capflow.files import folder_digest, write_json, write_text
from capflow.training import keeping
from capflow.training.phase import Phase
from stages import run, train
from tests.checkout import ROOT, environment
from tests.tiny import VOCABULARY, captioner, captions, params, pixels

LEARNING: dict[str, Any] = {
    "epochs": 2,
    "ema": 0.9,
    "accumulate": 2,
    "log_every": 1,
    "scheduled_sampling": 0.5,
    "schedule": {"name": "plateau", "warmup": 0.2, "every": 1, "factor": 0.1, "patience": 0},
    "self_critical": {"epochs": 1, "lr": 0.001, "samples": 2, "bleu": 0.0, "lookalikes": 2.0},
    "augment": {"crop": 28, "area": 0.5, "flip": True},
}


def empty_record(folder: Path) -> Path:
    """MLflow's store without a run, which takes seconds to create."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DVC_ROOT", str(folder))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        tracking.Store()
    return folder / "mlflow.db"


def lay_out(folder: Path, record: Path, decoder: str = "lstm", **learning: Any) -> None:
    """A checkout with all that training reads: five pictures to learn from and to validate on."""
    encoder = {"trainable": True, "features": "grid"}
    shape = {"name": decoder, "embedding": 16, "hidden": 16, "tied": True, "dropout": 0.3}
    chosen = params(encoder=encoder, decoder=shape, train=LEARNING | learning)
    encoded, ids = captions()
    write_text(folder / "dvc.yaml", "stages: {}\n")
    shutil.copy(record, folder / "mlflow.db")
    write_text(folder / "params.yaml", yaml.safe_dump(chosen.model_dump(mode="json")))
    write_text(folder / project.VOCAB / "vocab.json", VOCABULARY.to_json())
    for split in ("train", "val"):
        encoded.save(folder / project.VOCAB / split)
        write_json(folder / project.TENSORS / f"{split}.json", {"ids": ids.tolist()})
        np.save(folder / project.TENSORS / f"{split}.npy", pixels(5))
    write_json(folder / project.FEATURES / "features.json", {"stored": False})
    write_json(folder / project.ANNOTATIONS / "val.json", described(ids.tolist()))
    model = captioner(7, encoder=encoder)
    (folder / project.ENCODER).mkdir(parents=True)
    weights = {name: tensor.contiguous() for name, tensor in model.encoder.backbone.state_dict().items()}
    save_file(weights, folder / project.ENCODER / "weights.safetensors")


def described(ids: list[int]) -> dict[str, Any]:
    """The pictures in COCO's format, with the captions that training has."""
    encoded, _ = captions()
    texts = [" ".join(VOCABULARY.words[number] for number in row[1:] if number > 3) for row in told(encoded)]
    return {
        "images": [{"id": image, "file_name": f"{image}.png"} for image in ids],
        "annotations": [
            {"id": number, "image_id": int(image), "caption": text}
            for number, (image, text) in enumerate(zip(encoded.images, texts, strict=True), 1)
        ],
    }


def told(encoded: Any) -> Any:
    return encoded.padded(np.arange(len(encoded)))


def results(folder: Path) -> dict[str, str]:
    """What DVC would record: the digest of the model, and the curves as they are."""
    names = ("train.json", "train_steps.csv", "train_epochs.csv")
    return {name: (folder / "metrics" / name).read_text() for name in names} | {
        "model": folder_digest(folder / project.MODEL)
    }


def recorded(folder: Path) -> list[tuple[str, Counter[tuple[Any, ...]]]]:
    """Of each run in the record: its status, and every number; of times only that there is one."""
    store = sqlite3.connect(folder / "mlflow.db")
    found = recorded_in(store.cursor())
    store.close()
    return found


def recorded_in(cursor: Any) -> list[tuple[str, Counter[tuple[Any, ...]]]]:
    """As :func:`recorded`, in any database."""
    cursor.execute("select run_uuid, status from runs")
    runs = dict(cursor.fetchall())
    cursor.execute("select run_uuid, key, step, value from metrics")
    times = {"captions_per_second", "train_seconds"}
    numbers: dict[str, Counter[tuple[Any, ...]]] = {row: Counter() for row in runs}
    for row, key, step, value in cursor.fetchall():
        numbers[row][key, step, None if key in times else value] += 1
    return [(status, numbers[row]) for row, status in runs.items()]


def send_the_rest(folder: Path) -> None:
    """Send the record what it did not take in time, if anything, as on a machine that is busy."""
    if not any((folder / ".capflow/record").iterdir()):
        return
    command = [sys.executable, "-c", "from capflow.cli import main; main()", "record"]
    subprocess.run(command, cwd=folder, env=environment(), capture_output=True, timeout=300, check=True)


def assert_ends_alike(stable: "Kennel", folder: Path, other: Path) -> None:
    """Nothing is left of checkpoints and locks, and one run has every number once."""
    assert stable.exit_code(stable.start(folder)) == 0, said(folder)
    assert results(folder) == results(other)
    send_the_rest(folder)
    assert recorded(folder) == recorded(other)
    assert [status for status, _ in recorded(folder)] == ["FINISHED"]
    assert list((folder / ".capflow/checkpoints").iterdir()) == []


def left_alone(stable: "Kennel", folder: Path) -> None:
    """Train in a checkout to the end; checkpoints are made at the ends of epochs alone."""
    assert stable.exit_code(stable.start(folder, interval=1e9)) == 0, said(folder)


def said(folder: Path) -> str:
    """What trainings in a checkout have said."""
    path = folder / "stderr.txt"
    return path.read_text() if path.exists() else ""


def checkpoints(folder: Path) -> list[Path]:
    """All checkpoints in a checkout, oldest first."""
    return sorted((folder / ".capflow/checkpoints").glob("*/[0-9]*.*.json"))


class Kennel:
    """The parent of the processes."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.trainings"],
            cwd=ROOT,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        self._alive: set[int] = set()

    def start(
        self, folder: Path, interval: float = 0.0, pause: float = 0.0, store: str = "", dvc: str = ""
    ) -> int:
        """Train in a checkout; the id of the process that does it.

        Args:
            folder: the checkout.
            interval: seconds between checkpoints; 0: one after each step.
            pause: seconds that each step waits at first.
            store: MLflow's; none: the file in the checkout.
            dvc: the stage as which DVC starts it; none: by hand.
        """
        assert self._process.stdin is not None
        self._process.stdin.write(f"{json.dumps([str(folder), interval, pause, store, dvc])}\n".encode())
        self._alive.add(process := self._number())
        return process

    def exit_code(self, process: int, seconds: float = 300) -> int:
        """Wait for the end of a process; what it said is in stderr.txt of its checkout."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{json.dumps([process])}\n".encode())
        code = self._number(seconds)
        self._alive.remove(process)
        return code

    def _number(self, seconds: float = 300) -> int:
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], seconds)[0]:
            self.close()  # an answer that comes later must not be taken for another one, and killed
            pytest.fail("no answer in time")
        return int(self._process.stdout.readline())

    def close(self) -> None:
        for process in self._alive:  # its numbers are not given away while nobody has waited for it
            os.kill(process, signal.SIGKILL)
        self._alive.clear()
        self._process.kill()
        self._process.communicate()


def wait_until(happened: Any, seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


def _train(folder: str, interval: float, pause: float, store: str, dvc: str) -> NoReturn:
    os.chdir(folder)
    os.environ |= {"MLFLOW_TRACKING_URI": store} | ({"DVC_STAGE": dvc} if dvc else {})
    os.dup2(os.open("stderr.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
    sys.argv = ["train"]
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # tests may run under nohup
    keeping.INTERVAL, keeping._SHARE = interval, 1.0 if interval else 1e9
    update = Phase.update

    def slow(*args: Any) -> Any:
        time.sleep(pause)
        return update(*args)

    setattr(Phase, "update", slow)  # noqa: B010 -- no type can be told of it
    try:
        run(train.main)
    except SystemExit as error:
        if isinstance(error.code, str):
            os.write(2, error.code.encode())
        os._exit(error.code if isinstance(error.code, int) else 1)
    os._exit(0)


def main() -> None:
    """Fork for each checkout on stdin and say the child's id; for each id wait, and say the exit code."""
    for line in sys.stdin:
        order = json.loads(line)
        if len(order) == 1:
            print(os.waitstatus_to_exitcode(os.waitpid(order[0], 0)[1]), flush=True)  # noqa: T201
        elif child := os.fork():
            print(child, flush=True)  # noqa: T201
        else:
            _train(*order)


if __name__ == "__main__":
    main()
