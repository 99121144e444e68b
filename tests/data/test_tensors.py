"""Pictures and features as memory maps: right rows, damaged pictures left out, damaged files refused."""

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from capflow.data import features, precompute, tensors
from capflow.data.annotations import ImageRecord
from capflow.data.pictures import decode
from capflow.data.resize import resize
from capflow.data.sources import Missing
from capflow.errors import CapflowError
from tests.photographs import jpeg


def quiet(items: Iterable[Any], total: int) -> Iterable[Any]:
    return items


def write(folder: Path, pictures: dict[str, bytes], names: list[str]) -> list[Missing]:
    images: list[ImageRecord] = [{"id": 10 + place, "file_name": name} for place, name in enumerate(names)]
    contents: dict[str, Callable[[], bytes]] = {name: partial(bytes, c) for name, c in pictures.items()}
    return precompute.write(folder, "train", contents, images, 8, "crop", quiet)


def test_rows_are_the_pictures_in_their_order(tmp_path: Path) -> None:
    pictures = {f"{shade}.jpg": jpeg(shade) for shade in (0, 100, 200)}
    assert write(tmp_path, pictures, list(pictures)) == []
    found = tensors.read(tmp_path, "train")
    assert found.ids.tolist() == [10, 11, 12]
    for row, (name, content) in zip(found.pixels, pictures.items(), strict=True):
        assert np.array_equal(row, resize(decode(content, name), 8, "crop").numpy())


def test_missing_and_damaged_pictures_have_no_row(tmp_path: Path) -> None:
    pictures = {"a.jpg": jpeg(0), "bad.jpg": b"<html>", "c.jpg": jpeg(200)}
    (unreadable,) = write(tmp_path, pictures, ["a.jpg", "bad.jpg", "gone.jpg", "c.jpg"])
    assert unreadable.file_name == "bad.jpg"
    assert tensors.read(tmp_path, "train").ids.tolist() == [10, 13]


def test_an_empty_split_is_no_error(tmp_path: Path) -> None:
    assert write(tmp_path, {}, []) == []
    assert tensors.read(tmp_path, "train").pixels.shape == (0, 8, 8, 3)


@pytest.mark.parametrize("damage", ["truncated", "emptied", "removed", "replaced"])
def test_damaged_maps_are_refused(tmp_path: Path, damage: str) -> None:
    write(tmp_path, {"a.jpg": jpeg(0), "b.jpg": jpeg(9)}, ["a.jpg", "b.jpg"])
    path = tmp_path / "train.npy"
    match damage:
        case "truncated":
            path.write_bytes(path.read_bytes()[:-50])
        case "emptied":
            path.write_bytes(b"")
        case "removed":
            path.unlink()
        case _:
            np.save(path, np.zeros((2, 8, 8, 3), np.float32))
    with pytest.raises(CapflowError, match=r"train\.npy"):
        tensors.read(tmp_path, "train")


@pytest.mark.parametrize("mirrored", [False, True])
def test_features_of_every_view(tmp_path: Path, mirrored: bool) -> None:
    write(
        tmp_path,
        {f"{place}.jpg": jpeg(place * 40) for place in range(5)},
        [f"{place}.jpg" for place in range(5)],
    )
    pictures = tensors.read(tmp_path, "train")

    def encode(pixels: torch.Tensor) -> torch.Tensor:
        return pixels.float().mean(1)[:, :, :] / 255

    def views(pixels: torch.Tensor, first: int) -> list[torch.Tensor]:
        assert torch.equal(pixels, torch.from_numpy(np.array(pictures.pixels[first : first + len(pixels)])))
        return [pixels, pixels.flip(2)] if mirrored else [pixels]

    features.write(tmp_path / "val.npy", pictures, encode, views=views, batch_size=2, progress=quiet)
    found = features.read(tmp_path, "val", 5)
    assert found.shape == (5, 1 + mirrored, 8, 3)
    whole = encode(torch.from_numpy(np.array(pictures.pixels)))
    np.testing.assert_allclose(found[:, 0], whole.numpy(), atol=1e-3)
    if mirrored:
        np.testing.assert_allclose(found[:, 1], whole.flip(1).numpy(), atol=1e-3)
    with pytest.raises(CapflowError, match=r"not 6 rows"):
        features.read(tmp_path, "val", 6)
