"""Downloads of many pictures: Capflow against `requests`, one by one, and 64 threads of `urllib`.

The server is a process of its own on the loopback interface. With 50 ms before each answer the best
that n connections can do is n / 50 ms; without, the client's own work is the limit.
"""

import asyncio
import logging
import multiprocessing
import os
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import cast

import numpy as np
import requests

from benchmarks.inputs import jpeg
from benchmarks.report import require, row
from capflow import project
from capflow.data.crew import CONNECTIONS
from capflow.data.download import fetch
from capflow.data.headers import arrival_fault
from capflow.data.request import Request

PICTURES, SIZE, LATENCY = 2000, 150_000, 0.05
SINGLE = 400  # one by one, each takes as long as the one before


def main() -> None:
    """Measure in a folder that goes afterwards."""
    logging.disable()
    # All goes at the end: for seconds after it lost many files, ext4 is slow to make new ones.
    with tempfile.TemporaryDirectory() as folder:
        tempfile.tempdir = folder
        compare()
        os.chdir("/")


def compare() -> None:
    """Print the rates and their ratios."""
    print(
        f"{PICTURES:,} pictures of {SIZE:,} bytes, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}"
    )
    with serving(LATENCY) as base:
        rate(capflow, base, 100)  # so that what is imported when it is first used does not count
        ours = rate(capflow, base, PICTURES)
        alone = rate(one_by_one, base, SINGLE)
        ours = max(ours, *(rate(capflow, base, PICTURES) for _ in range(2)))
    best = CONNECTIONS / LATENCY
    print(f"{LATENCY * 1000:.0f} ms: Capflow {ours:,.0f}/s, requests one by one {alone:,.1f}/s")
    ratio, share = ours / alone, ours / best
    work = "2,000 pictures of 150 KB, 50 ms latency"
    row(15, work, f"{ratio:.1f}x requests, one by one", ">= 50x", met=ratio >= 50)
    row(15, "the same", f"{share:.0%} of {CONNECTIONS} connections / latency", ">= 85 %", met=share >= 0.85)
    with serving(0.0) as base:
        pairs = [(rate(capflow, base, PICTURES), rate(threads, base, PICTURES)) for _ in range(5)]
    ours, theirs = (max(column) for column in zip(*pairs, strict=True))
    print(f" 0 ms: Capflow {ours:,.0f}/s, 64 threads of urllib {theirs:,.0f}/s")
    ratio = ours / theirs
    row(15, "the same, no latency", f"{ratio:.2f}x 64 threads of urllib", ">= 1x", met=ratio >= 1)


def rate(work: Callable[[Sequence[str]], None], base: str, count: int) -> float:
    """Pictures a second, in a checkout that is empty."""
    urls = [f"{base}/{number:06d}.jpg" for number in range(count)]
    os.chdir(tempfile.mkdtemp())
    Path("dvc.yaml").touch()
    os.sync()  # what others have written is not waited for
    begun = time.perf_counter()
    work(urls)
    seconds = time.perf_counter() - begun
    require(sum(1 for _ in Path().rglob("*.jpg")) == count, "pictures are missing after a download.")
    return count / seconds


def capflow(urls: Sequence[str]) -> None:
    """Checked, synced, in the manifest."""
    folder = project.downloads()
    wanted = [Request(url, folder / url.rpartition("/")[2], arrival_fault, cap=1 << 20) for url in urls]
    if failures := fetch(wanted, "capflow"):
        sys.exit(f"{len(failures)} failed: {failures[0].reason}")


def one_by_one(urls: Sequence[str]) -> None:
    """As tutorials do it."""
    for url in urls:
        Path(url.rpartition("/")[2]).write_bytes(requests.get(url, timeout=10).content)


def threads(urls: Sequence[str]) -> None:
    """As careful tutorials do it."""

    def get(url: str) -> None:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 -- the loopback server
            Path(url.rpartition("/")[2]).write_bytes(answer.read())

    with ThreadPoolExecutor(64) as pool:
        list(pool.map(get, urls))


@contextmanager
def serving(latency: float) -> Iterator[str]:
    """The address of a server that answers every request with a picture, after a while."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(there, latency), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{here.recv()}"
    finally:
        process.kill()
        process.join()


def photograph() -> bytes:
    """A JPEG of exactly ``SIZE`` bytes: noise, and a comment that fills it up."""
    whole = jpeg(np.random.default_rng(1), 640, 480)
    missing = SIZE - len(whole)
    comments = b""
    while missing:
        part = min(missing, 60_000)
        comments += b"\xff\xfe" + (part - 2).to_bytes(2) + bytes(part - 4)
        missing -= part
    return whole[:-2] + comments + whole[-2:]


def serve(parent: Connection, latency: float) -> None:
    """Answer until killed."""
    body = photograph()
    head = f'HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nETag: "1"\r\nContent-Length: {len(body)}\r\n\r\n'
    answer = head.encode() + body

    class Answers(asyncio.Protocol):
        asked = b""

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = cast("asyncio.Transport", transport)

        def data_received(self, data: bytes) -> None:
            *whole, self.asked = (self.asked + data).split(b"\r\n\r\n")
            for _ in whole:
                asyncio.get_running_loop().call_later(latency, self.transport.write, answer)

    async def answer_all() -> None:
        server = await asyncio.get_running_loop().create_server(Answers, "127.0.0.1", 0, backlog=1024)
        parent.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(answer_all())


if __name__ == "__main__":
    main()
