"""Two processes with a thread each beside one with two: what it costs to be several on the same two cores.

The default model learns in fp32 from random pictures, an epoch at a time, both ways in turn. The losses of
the first epoch are compared; they differ by what sums round. The rate is low: with a high one Adam takes
steps of full length for gradients that are nothing but rounding.
"""

import json
import socket
import subprocess
import sys
from collections.abc import Mapping

from benchmarks.checkpoints import trainer
from benchmarks.report import environment, fastest, require, row, shown
from capflow import memory
from capflow.joining import together
from capflow.params import load_params

PICTURES, ROUNDS = 320, 4


class Way:
    """Processes that are ready to learn."""

    def __init__(self, count: int) -> None:
        """Start so many, with two threads together."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        shared = {"WORLD_SIZE": count, "MASTER_PORT": port, "OMP_NUM_THREADS": 2 // count}
        self.processes = [start(shared | {"RANK": rank, "LOCAL_RANK": rank}) for rank in range(count)]
        self.losses: list[float] = []

    def __call__(self) -> list[float]:
        """Learn for an epoch; the losses of its steps."""
        for process in self.processes:
            print(file=process.stdin, flush=True)
        told = [json.loads(process.stdout.readline()) for process in self.processes if process.stdout]
        self.losses = self.losses or told[0]
        return self.losses

    def close(self) -> None:
        """Let them end; none ends before all others do."""
        for process in self.processes:
            if process.stdin:
                process.stdin.close()
        for process in self.processes:
            process.wait()


def start(variables: Mapping[str, object]) -> "subprocess.Popen[str]":
    """One process of this module that waits for lines."""
    numbers = {name: str(value) for name, value in variables.items()}
    own = {"MASTER_ADDR": "127.0.0.1", "GLOO_SOCKET_IFNAME": "lo"}
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.processes", "learn"],
        env=environment() | own | numbers,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def learn() -> None:
    """For each line on stdin an epoch, and the losses of its steps on stdout."""
    memory.keep()
    with together() as processes:
        params = load_params()
        exactly = params.train.model_copy(update={"precision": "fp32", "lr": 1e-5})
        exact = params.model_copy(update={"train": exactly})
        training = trainer(exact, 1, PICTURES, processes)
        for _ in sys.stdin:
            batches = training.train.batches.epoch(1)
            losses = [float(training.phase.update([batch])[0]) for batch in batches]
            print(json.dumps(losses), flush=True)


def main() -> None:
    """Measure in turn and print."""
    if sys.argv[1:] == ["learn"]:
        learn()
        return
    ways = {"one": Way(1), "two": Way(2)}
    best = fastest(ways, ROUNDS)
    for way in ways.values():
        way.close()
    apart = max(abs(one - two) for one, two in zip(*(way.losses for way in ways.values()), strict=True))
    require(apart <= 1e-4, f"the losses of one and of two processes are {apart:.0e} apart.")
    print(f"seconds of an epoch of {len(ways['one'].losses)} steps: {shown(best)}")
    ratio = best["one"] / best["two"]
    found = f"{ratio:.2f}x one process with two threads, losses {apart:.0e} apart"
    row(17, "two processes with a thread each", found, ">= 0.85x, same loss (1e-4)", met=ratio >= 0.85)


if __name__ == "__main__":
    main()
