"""Photographs to small squares: Capflow's `decode` and `resize`, against the loop people write with Pillow.

Both squash to 256 x 256 pixels. The photographs are COCO's where `photographs()` finds some, else noise
of COCO's usual size, which is harder to decode.
"""

import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import simplejpeg
import torch
from PIL import Image

from benchmarks.inputs import photographs
from benchmarks.report import fastest, row
from capflow.data.pictures import decode
from capflow.data.resize import resize

SIDE, ROUNDS = 256, 4


def main() -> None:
    """Measure, check that the pixels agree, and print."""
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

    def each(work: Callable[[int], None], threads: int) -> Callable[[], None]:
        def all_of_them() -> None:
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(work, range(len(files))))

        return all_of_them

    ways = {
        "capflow": each(capflow, 1),
        "pillow": each(pillow, 1),
        "two": each(capflow, 2),
        "bare": each(bare, 1),
    }
    best = fastest(ways, ROUNDS)
    rates = {name: len(files) / seconds for name, seconds in best.items()}
    apart = int(np.abs(ours.astype(int) - theirs).max())
    print(
        f"{len(files)} photographs ({origin}); a second: "
        + ", ".join(f"{n} {r:.0f}" for n, r in rates.items())
    )
    ratio, scaling, share = (
        rates["capflow"] / rates["pillow"], rates["two"] / rates["capflow"], rates["capflow"] / rates["bare"]
    )  # fmt: skip
    work = f"JPEG to uint8 {SIDE}x{SIDE}, {origin}"
    row(
        2,
        work,
        f"{ratio:.2f}x Pillow, pixels within {apart}",
        ">= 1.45x, within 1",
        met=ratio >= 1.45 and apart <= 1,
    )
    row(2, "the same, two threads", f"{scaling:.2f}x one", ">= 1.9x", met=scaling >= 1.9)
    row(2, "the same, share of bare simplejpeg", f"{share:.0%}", ">= 70 %", met=share >= 0.7)


if __name__ == "__main__":
    main()
