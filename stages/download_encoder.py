"""Have the encoder's first weights, as safetensors: torchvision's, a file's, or none, to data/encoder."""

from pathlib import Path

from safetensors.torch import save
from torchvision import models

from capflow import project
from capflow.data.download import obtain
from capflow.data.request import Request
from capflow.errors import CapflowError
from capflow.files import digest, write_bytes
from capflow.models.encoder import SMALL, Encoder
from capflow.models.weights import check_weights, read_weights
from capflow.params import load_params
from stages import run

_CAP = 8 << 30  # bytes; the largest of torchvision's files has 2.3 GiB


def main() -> None:
    """Run the stage."""
    params = load_params().encoder
    project.ENCODER.mkdir(parents=True, exist_ok=True)
    weights = {}
    if params.weights != "none":
        backbone = Encoder(params).backbone  # first of all, because it knows whether there is such a network
        path = imagenet(params.name) if params.weights == "imagenet" else project.WEIGHTS / params.weights
        weights = check_weights(read_weights(path), backbone, path)
    write_bytes(project.ENCODER / "weights.safetensors", save(weights))


def imagenet(name: str) -> Path:
    """Torchvision's default weights of a classifier, in the store; fetched where they are not there."""
    if name == SMALL:
        raise CapflowError(
            "params.yaml: `encoder.name: small` has no ImageNet weights; set `encoder.weights: none`."
        )
    url = models.get_model_weights(name).DEFAULT.url
    target = project.downloads() / "weights" / Path(url).name

    def fault(path: Path) -> str | None:
        # torchvision ends its names in the first digits of the SHA-256: resnet50-11ad3fa6.pth.
        expected = target.stem.rsplit("-", 1)[1]
        return None if digest(path).startswith(expected) else f"its SHA-256 does not begin with {expected}"

    if failure := obtain(Request(url, target, fault, cap=_CAP), f"{name} weights"):
        raise CapflowError(
            f"{url} cannot be had ({failure.reason}); fetch it by other means, put it into data/weights/ "
            f"and set `encoder.weights: {target.name}` in params.yaml."
        )
    return target


if __name__ == "__main__":
    run(main)
