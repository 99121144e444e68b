"""Stages by several processes that torchrun did not start: forks of a parent that has loaded them."""

import json
import os
import select
import socket
import subprocess
import sys
import traceback
from importlib import import_module
from pathlib import Path
from typing import NoReturn

import mlflow.store.tracking.sqlalchemy_workspace_store  # noqa: F401 -- no fork has to load it

from capflow.engine import TIMEOUT
from stages import extract_features, generate_captions, precompute_tensors, run, train
from tests.checkout import ROOT, environment

STAGES = {
    "extract_features": extract_features,
    "generate_captions": generate_captions,
    "precompute_tensors": precompute_tensors,
    "train": train,
}


class Troop:
    """The parent of the processes."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.together"],
            cwd=ROOT,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )

    def run(self, folder: Path, stage: str, count: int, timeout: float = 60) -> list[int]:
        """Run a stage, or `module:function`, in so many processes; their exit codes.

        What they say is in `<stage>.txt` of the folder; they wait for each other for `timeout` seconds.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{json.dumps([str(folder), stage, count, timeout])}\n".encode())
        assert select.select([self._process.stdout], [], [], 120)[0], "no answer in time"
        codes: list[int] = json.loads(self._process.stdout.readline())
        return codes

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


def _start(folder: str, stage: str, rank: int, count: int, port: int) -> int:
    child = os.fork()
    if not child:
        _begin(folder, stage, rank, count, port)
    return child


def _begin(folder: str, stage: str, rank: int, count: int, port: int) -> NoReturn:
    os.chdir(folder)
    os.dup2(os.open(f"{stage}.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
    sys.argv = [stage]
    if count > 1:
        numbers = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "MASTER_PORT": port}
        os.environ.update({name: str(number) for name, number in numbers.items()})
        os.environ.update(TORCHELASTIC_RUN_ID="test", MASTER_ADDR="127.0.0.1", GLOO_SOCKET_IFNAME="lo")
    _work(stage)


def _work(stage: str) -> NoReturn:
    module, _, function = stage.rpartition(":")
    try:
        run(getattr(import_module(module), function) if module else STAGES[stage].main)
    except SystemExit as error:
        if isinstance(error.code, str):
            os.write(2, error.code.encode())
        os._exit(error.code if isinstance(error.code, int) else 1)
    except BaseException:  # noqa: BLE001 -- a fork must not go on as its parent
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def main() -> None:
    """Fork for each order on stdin, wait, and say the exit codes."""
    for line in sys.stdin:
        folder, stage, count, timeout = json.loads(line)
        os.environ[TIMEOUT] = str(timeout)
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        children = [_start(folder, stage, rank, count, port) for rank in range(count)]
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        print(json.dumps(codes), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
