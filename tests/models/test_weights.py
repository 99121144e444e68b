"""Foreign weights: read in three forms, never unpickled, checked by name and shape."""

import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from capflow.errors import CapflowError
from capflow.models.encoder import classifier
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


def test_a_captioners_file_gives_its_encoder(tmp_path: Path) -> None:
    model = small()
    whole = {f"encoder.backbone.{name}": value for name, value in model.state_dict().items()}
    path = save(tmp_path / "weights.safetensors", whole | {"decoder.embed.weight": torch.zeros(2, 2)})
    found = check_weights(read_weights(path), model, path)
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


def damaged(path: Path, kind: str) -> Path:
    match kind:
        case "empty":
            path.write_bytes(b"")
        case "page":
            path.write_bytes(b"<!DOCTYPE html><html><body>404</body></html>")
        case "array":
            with path.open("wb") as stream:
                np.save(stream, np.zeros(3))
        case "texts":
            np.savez(path, weight=np.array(["a", "b"]))
    return path


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *((name, kind) for name in ("a.safetensors", "a.npz", "a.pth") for kind in ("empty", "page")),
        ("a.npz", "array"),
        ("a.npz", "texts"),
    ],
)
def test_what_holds_no_weights_is_one_sentence_without_bad_advice(
    tmp_path: Path, name: str, kind: str
) -> None:
    with pytest.raises(CapflowError) as caught:
        read_weights(damaged(tmp_path / name, kind))
    sentence = str(caught.value)
    assert sentence.startswith(f"{tmp_path / name}: ")
    assert "\n" not in sentence
    assert "weights_only" not in sentence


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1j])
def test_weights_that_are_no_numbers_are_refused(tmp_path: Path, value: complex) -> None:
    state = small().state_dict()
    state["0.bias"] = torch.full((4,), value)
    with pytest.raises(CapflowError, match=r"tensor `0\.bias` holds values that are no numbers"):
        check_weights(state, small(), tmp_path / "a.pth")


def test_the_published_names_of_densenets_are_understood(tmp_path: Path) -> None:
    model = classifier("densenet121")
    old = {
        re.sub(r"(denselayer\d+\.(?:norm|conv))([12])", r"\1.\2", name): value
        for name, value in model.state_dict().items()
    }
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    assert set(check_weights(old, model, tmp_path)) >= {"features.denseblock1.denselayer1.norm1.weight"}
