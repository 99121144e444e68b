"""Photographs to small squares: Capflow's `decode` and `resize`, against the loop people write with Pillow.

Both squash to 256 x 256 pixels. The photographs are COCO's where `photographs()` finds some, else noise
of COCO's usual size, which is harder to decode. On one thread the ways take turns at all photographs, and of
each photograph the best of its rounds counts: what else the machine does hardly meets the same one each time.
"""

import io
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import simplejpeg
import torch
from PIL import Image

from benchmarks.inputs import photographs
from benchmarks.report import Work, fastest, require, row, shown
from capflow import memory
from capflow.data.pictures import decode
from capflow.data.resize import resize

Convert = Callable[[int], None]
SIDE, ROUNDS = 256, 8


def main() -> None:
    """Measure, check that the pixels agree, and print."""
    memory.keep()  # as the stages have it, on behalf of all ways
    torch.set_num_threads(1)  # one thread a picture: the pool has as many as there are processors
    files, origin = photographs()
    ours, theirs = (np.zeros((len(files), SIDE, SIDE, 3), np.uint8) for _ in range(2))

    def capflow(index: int) -> None:
        ours[index] = resize(decode(files[index], "a photograph"), SIDE, "squash").numpy()

    def pillow(index: int) -> None:
        picture = Image.open(io.BytesIO(files[index])).convert("RGB")
        theirs[index] = np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR))

    def bare(index: int) -> None:
        simplejpeg.decode_jpeg(files[index])

    best = one_by_one({"capflow": capflow, "pillow": pillow, "bare simplejpeg": bare}, len(files))
    apart = int(np.abs(ours.astype(int) - theirs).max())
    require(apart <= 1, f"the pixels of a photograph are {apart} from Pillow's.")
    one, two = (pooled(capflow, len(files), threads) for threads in (1, 2))
    pools = fastest({"one": one, "two": two}, ROUNDS // 2)
    print(f"{len(files)} photographs, seconds: {shown(best)}; in a pool of threads: {shown(pools)}")
    ratio, share = best["pillow"] / best["capflow"], best["bare simplejpeg"] / best["capflow"]
    scaling = pools["one"] / pools["two"]
    found, work = f"{ratio:.2f}x Pillow, pixels within {apart}", f"JPEG to uint8 {SIDE}x{SIDE}, {origin}"
    row(2, work, found, ">= 1.45x, within 1", met=ratio >= 1.45)
    row(2, "the same, two threads", f"{scaling:.2f}x one", ">= 1.9x", met=scaling >= 1.9)
    row(2, "the same, share of bare simplejpeg", f"{share:.0%}", ">= 70 %", met=share >= 0.7)


def one_by_one(ways: Mapping[str, Convert], photographs: int) -> dict[str, float]:
    """Seconds of each way for all photographs, the best of each one's rounds."""
    least = {name: [float("inf")] * photographs for name in ways}

    def convert_all(name: str) -> None:
        for index in range(photographs):
            start = time.perf_counter()
            ways[name](index)
            least[name][index] = min(least[name][index], time.perf_counter() - start)

    fastest({name: partial(convert_all, name) for name in ways}, ROUNDS)
    return {name: sum(seconds) for name, seconds in least.items()}


def pooled(convert: Convert, photographs: int, threads: int) -> Work:
    """All photographs by so many threads."""

    def work() -> None:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(convert, range(photographs)))

    return work


if __name__ == "__main__":
    main()
