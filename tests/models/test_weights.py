"""Foreign weights: read in three forms, never unpickled, checked by name and shape."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from capflow.errors import CapflowError
from capflow.models.weights import check_weights, read_weights


def small() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))


def save(path: Path, state: dict[str, torch.Tensor]) -> Path:
    match path.suffix:
        case ".safetensors":
            save_file(state, path)
        case ".npz":
            np.savez(path, **{name: value.numpy() for name, value in state.items()})  # type: ignore[arg-type]
        case _:
            torch.save(state, path)
    return path


@pytest.mark.parametrize("name", ["a.safetensors", "a.npz", "a.pth", "a.pt"])
def test_every_form_gives_the_same_weights(tmp_path: Path, name: str) -> None:
    model = small()
    found = check_weights(read_weights(save(tmp_path / name, model.state_dict())), model, tmp_path / name)
    assert all(torch.equal(found[key], model.state_dict()[key]) for key in found)
    assert set(found) == {key for key in model.state_dict() if "num_batches" not in key}


class Hostile:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (Path("executed"),))  # type: ignore[return-value]


@pytest.mark.parametrize("name", ["a.pth", "a.npz"])
def test_hostile_pickles_are_refused_and_not_executed(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / name
    if name.endswith("pth"):
        torch.save({"weight": Hostile()}, path)
    else:
        np.savez(path, weight=np.array([Hostile()], dtype=object))
    with pytest.raises(CapflowError, match=name):
        read_weights(path)
    path.write_bytes(pickle.dumps({"weight": Hostile()}, protocol=2))
    with pytest.raises(CapflowError, match=name):
        read_weights(path)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("name", ["a.safetensors", "a.npz", "a.pth"])
def test_truncated_files_are_named(tmp_path: Path, name: str) -> None:
    path = save(tmp_path / name, small().state_dict())
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(CapflowError, match=name):
        read_weights(path)


def test_missing_files_and_other_kinds_are_named(tmp_path: Path) -> None:
    with pytest.raises(CapflowError, match="no such weights file"):
        read_weights(tmp_path / "none.pth")
    (tmp_path / "a.bin").write_bytes(b"1")
    with pytest.raises(CapflowError, match=r"a\.bin: weights are read from"):
        read_weights(tmp_path / "a.bin")


def test_weights_of_another_network_are_named() -> None:
    state = small().state_dict()
    with pytest.raises(CapflowError, match=r"`0\.weight` is \[4, 3, 3, 3\], not \[5, 3, 3, 3\]"):
        check_weights(state, nn.Sequential(nn.Conv2d(3, 5, 3)), Path("w.pth"))
    with pytest.raises(CapflowError, match=r"no tensor `1\.running_var`"):
        check_weights({k: v for k, v in state.items() if k != "1.running_var"}, small(), Path("w.pth"))
