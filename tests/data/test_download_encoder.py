"""The encoder's first weights: from a file, from nowhere, or from a server that is, or is not, there."""

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from torch import Tensor

from capflow import project
from capflow.errors import CapflowError
from capflow.files import digest
from capflow.models.encoder import classifier
from stages import download_encoder
from tests.checkout import ROOT
from tests.faults.server import serving
from tests.photographs import flip

NAME = "shufflenet_v2_x0_5"
WRITTEN = project.ENCODER / "weights.safetensors"


def choose(weights: str, name: str = NAME) -> None:
    """Write params.yaml."""
    content: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    content["encoder"] |= {"name": name, "weights": weights}
    Path("params.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")


def publish(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have torchvision say that its default weights lie at ``url``."""
    weights = SimpleNamespace(DEFAULT=SimpleNamespace(url=url))
    monkeypatch.setattr("torchvision.models.get_model_weights", lambda _: weights)


def state() -> dict[str, Tensor]:
    torch.manual_seed(5)
    return dict(classifier(NAME).state_dict())


def is_written(expected: dict[str, Tensor]) -> bool:
    """Whether data/encoder holds these weights, without head and counters."""
    found = load_file(WRITTEN)
    left_out = {name for name in expected if name.startswith("fc.") or name.endswith("num_batches_tracked")}
    return set(found) == set(expected) - left_out and all(
        torch.equal(found[name], expected[name]) for name in found
    )


def test_none_are_no_weights(checkout: Path) -> None:
    choose("none")
    download_encoder.main()
    assert load_file(WRITTEN) == {}


def test_a_file_lies_in_data_weights_or_anywhere(checkout: Path, tmp_path: Path) -> None:
    weights = state()
    (checkout / "data/weights").mkdir()
    save_file(weights, checkout / "data/weights/mine.safetensors")
    shutil.copy(checkout / "data/weights/mine.safetensors", tmp_path / "elsewhere.safetensors")
    for choice in ("mine.safetensors", str(tmp_path / "elsewhere.safetensors")):
        choose(choice)
        download_encoder.main()
        assert is_written(weights)
        WRITTEN.unlink()


@pytest.mark.parametrize(
    ("weights", "name", "message"),
    [
        (
            "absent.pth",
            NAME,
            r"data/weights/absent\.pth: there is no such weights file; check `encoder\.weights`",
        ),
        (
            "imagenet",
            "small",
            r"`encoder\.name: small` has no ImageNet weights; set `encoder\.weights: none`",
        ),
        ("imagenet", "resnet5O", r"`encoder\.name` is 'resnet5O'.*did you mean"),
    ],
)
def test_a_wrong_choice_is_named(checkout: Path, weights: str, name: str, message: str) -> None:
    choose(weights, name)
    with pytest.raises(CapflowError, match=message) as caught:
        download_encoder.main()
    assert "\n" not in str(caught.value)
    assert not WRITTEN.exists()


def test_without_a_network_one_sentence_says_what_to_put_where(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish("http://127.0.0.1:1/net-12345678.pth", monkeypatch)
    choose("imagenet")
    with pytest.raises(CapflowError) as caught:
        download_encoder.main()
    message = str(caught.value)
    assert message.startswith("http://127.0.0.1:1/net-12345678.pth cannot be had (")
    assert "put it into data/weights/ and set `encoder.weights: net-12345678.pth`" in message
    assert "\n" not in message
    assert not WRITTEN.exists()


def test_what_a_server_has_is_fetched_once_and_checked_by_its_name(
    checkout: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path_factory.mktemp("server")
    weights = state()
    torch.save(weights, root / "net.pth")
    right = f"net-{digest(root / 'net.pth')[:8]}.pth"
    for name in (right, "net-00000000.pth"):
        shutil.copy(root / "net.pth", root / name)
    choose("imagenet")
    with serving(root) as server:
        publish(f"{server.url}/{right}", monkeypatch)
        for _ in range(2):
            download_encoder.main()
        assert is_written(weights)
        assert server.paths() == [f"/{right}"]
        flip(project.downloads() / "weights" / right, 5000)
        download_encoder.main()
        assert is_written(weights)
        assert server.paths() == [f"/{right}"] * 2
        publish(f"{server.url}/net-00000000.pth", monkeypatch)
        with pytest.raises(CapflowError, match="its SHA-256 does not begin with 00000000"):
            download_encoder.main()
    assert is_written(weights)
