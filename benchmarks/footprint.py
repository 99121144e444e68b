"""Peak memory of precompute, extraction and training, against the number of pictures.

The real stages run in a folder of their own on 1,000 and on 20,000 pictures of 64 x 64 pixels with five
captions each. What counts is memory that cannot be given up (RssAnon); memory maps are not in it.
"""

import json
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np
import yaml

from benchmarks.inputs import jpeg
from benchmarks.report import environment, row

ROOT = Path(__file__).parents[1]
FEW, MANY = 1_000, 20_000
MEASURED = ("precompute_tensors", "extract_features", "train")
WORDS = ["a", "dog", "cat", "ball", "box", "man", "woman", "runs", "sits", "holds", "on", "under", "with"]


def main() -> None:
    """Run the stages at both sizes and print the peaks."""
    peaks = {count: dict(zip(MEASURED, stages(count), strict=True)) for count in (FEW, MANY)}
    for stage in MEASURED:
        few, many = peaks[FEW][stage], peaks[MANY][stage]
        each = (many - few) / (MANY - FEW) * 2**20
        found = f"{few:.0f} MiB at {FEW:,}, {many:.0f} MiB at {MANY:,}: {each:,.0f} bytes a picture"
        work = f"peak memory of {stage}, generated pictures and captions"
        row(13, work, found, "flat: within 10 %", met=many <= 1.1 * few)


def stages(count: int) -> list[float]:
    """The peaks of the three stages, in MiB, on so many pictures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, count)
        order = ("precompute_tensors", "build_vocab", "download_encoder", "extract_features", "train")
        peaks = {stage: run(folder, stage) for stage in order}
        return [peaks[stage] for stage in MEASURED]


def prepare(folder: Path, count: int) -> None:
    """Parameters, annotations and pictures: few different ones, as what they show does not matter."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["encoder"] |= {"trainable": False, "features": "pooled"}
    # As many steps at both sizes: the allocator settles in the course of the first hundreds.
    params["train"] |= {"epochs": MANY // count, "log_every": 1000}
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    for name in ("dvc.yaml", "stages", "src", "data/sources", "data/weights"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(ROOT / name)
    for name in ("data/annotations", "data/images", "metrics"):
        (folder / name).mkdir(parents=True)
    (folder / "metrics/missing.csv").write_text("split,file_name,reason\n")
    random = np.random.default_rng(0)
    pictures = [jpeg(random, 96, 72) for _ in range(20)]
    for split, number in (("train", count), ("val", 50), ("test", 0)):
        (folder / f"data/annotations/{split}.json").write_text(json.dumps(annotations(random, number)))
        with zipfile.ZipFile(folder / f"data/images/{split}.zip", "w") as archive:
            for image in range(number):
                archive.writestr(f"{image:06d}.jpg", pictures[image % len(pictures)])


def annotations(random: np.random.Generator, count: int) -> dict[str, list[dict[str, object]]]:
    """COCO captions of pictures, five each, of random words."""
    images = [{"id": number, "file_name": f"{number:06d}.jpg"} for number in range(count)]
    captions = [
        {"id": number, "image_id": number // 5, "caption": " ".join(random.choice(WORDS, 9))}
        for number in range(5 * count)
    ]
    return {"images": images, "annotations": captions}


def run(folder: Path, stage: str) -> float:
    """Run a stage; the most memory of its own that it had, in MiB."""
    command, peak = [sys.executable, "-m", f"stages.{stage}"], 0.0
    # A file takes all that a stage says while nobody reads; a pipe would be full one day.
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, cwd=folder, env=environment(), stdout=said, stderr=said)  # noqa: S603
        while process.poll() is None:
            peak = max(peak, anonymous(process.pid))
            time.sleep(0.01)
        if process.returncode:
            said.seek(0)
            sys.exit(f"{stage}: {said.read().decode(errors='replace')}")
    return peak


def anonymous(process: int) -> float:
    """The memory of a process that is backed by no file, in MiB; 0 where it has ended."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0.0
    sizes = [line.split()[1] for line in status.splitlines() if line.startswith("RssAnon")]
    return int(sizes[0]) / 1024 if sizes else 0.0


if __name__ == "__main__":
    main()
