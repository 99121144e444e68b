"""Warm batches of 64 pictures, uint8 256 x 256: rows of a memory map, as training reads them.

Against a PyTorch DataLoader over the same file with two workers; against the loop over HDF5 that the
well-known attention tutorial made popular (one worker, floats, normalised there, where Capflow leaves
that to the device); and against a bare copy of the same bytes, in their order.
"""

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import h5py
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import Normalize

from benchmarks.report import Work, fastest, require, row, shown
from capflow import memory
from capflow.data.pictures import Pixels

PICTURES, SIDE, BATCH, ROUNDS = 2000, 256, 64, 4


class Mapped(Dataset[Tensor]):
    """Rows of a memory map, one at a time."""

    def __init__(self, pixels: Pixels) -> None:
        self.pixels = pixels

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> Tensor:
        return torch.from_numpy(np.array(self.pixels[index]))


class Stored(Dataset[Tensor]):
    """Rows of an HDF5 file, as normalised floats; it is opened where it is read."""

    normalise = Normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])

    def __init__(self, path: Path) -> None:
        self.path = path

    def __len__(self) -> int:
        return PICTURES

    def __getitem__(self, index: int) -> Tensor:
        if not hasattr(self, "images"):
            self.images = h5py.File(self.path)["images"]
        normal: Tensor = self.normalise(torch.FloatTensor(self.images[index] / 255.0))
        return normal


def main() -> None:
    """Write the same pictures to both kinds of file, measure, and print."""
    memory.keep()
    with tempfile.TemporaryDirectory() as folder:
        pixels, path = write(Path(folder))
        orders = np.random.default_rng(0).permutation(PICTURES)
        chosen = [np.sort(part) for part in np.split(orders, range(BATCH, PICTURES, BATCH))]
        copy = np.zeros((BATCH, SIDE, SIDE, 3), np.uint8)

        def capflow() -> Iterator[Tensor]:
            return (torch.from_numpy(pixels[rows]) for rows in chosen)  # as capflow.models.inputs has it

        def memcpy() -> None:
            for start in range(0, PICTURES, BATCH):
                rows = pixels[start : start + BATCH]
                np.copyto(copy[: len(rows)], rows)

        mapped, stored = loader(Mapped(pixels), chosen, workers=2), loader(Stored(path), chosen, workers=1)
        compare(capflow(), mapped, stored)
        ways: dict[str, Work] = {
            "capflow": lambda: drain(capflow()),
            "DataLoader": lambda: drain(mapped),
            "HDF5": lambda: drain(stored),
            "memcpy": memcpy,
        }
        best = {name: seconds / len(chosen) for name, seconds in fastest(ways, ROUNDS).items()}
    print(f"milliseconds a batch: {shown(best, 1e3)}")
    simple, tutorial, share = (best[n] / best["capflow"] for n in ("DataLoader", "HDF5", "memcpy"))
    work = "warm batches of 64 uint8 256x256, generated pixels"
    row(3, work, f"{simple:.0f}x DataLoader, 2 workers", ">= 6x", met=simple >= 6)
    row(3, "the same", f"{tutorial:.0f}x the HDF5 loop", ">= 25x", met=tutorial >= 25)
    row(3, "the same", f"{share:.0%} of memcpy", ">= 60 %", met=share >= 0.6)


def write(folder: Path) -> tuple[Pixels, Path]:
    """The pictures as a memory map, and as HDF5 with the channels first, as the tutorial has them."""
    pixels = np.random.default_rng(0).integers(0, 256, (PICTURES, SIDE, SIDE, 3), np.uint8)
    np.save(folder / "pixels.npy", pixels)
    with h5py.File(folder / "pixels.h5", "w") as file:
        file.create_dataset("images", data=pixels.transpose(0, 3, 1, 2))
    return np.load(folder / "pixels.npy", mmap_mode="r"), folder / "pixels.h5"


def loader(data: Dataset[Tensor], chosen: list[NDArray[np.int64]], workers: int) -> DataLoader[Tensor]:
    """The batches of rows, by workers that stay from pass to pass."""
    rows = [part.tolist() for part in chosen]
    return DataLoader(data, batch_sampler=rows, num_workers=workers, persistent_workers=True)


def compare(ours: Iterable[Tensor], mapped: Iterable[Tensor], stored: Iterable[Tensor]) -> None:
    """All have the same pixels in each batch, HDF5's as floats."""
    for batch, same, floats in zip(ours, mapped, stored, strict=True):
        require(torch.equal(batch, same), "Capflow and the DataLoader over its file read different pixels.")
        near = torch.allclose(Stored.normalise(batch.permute(0, 3, 1, 2) / 255), floats, atol=1e-5)
        require(near, "Capflow and the HDF5 loop read different pixels.")


def drain(batches: Iterable[Tensor]) -> None:
    """One pass."""
    for _ in batches:
        pass


if __name__ == "__main__":
    main()
