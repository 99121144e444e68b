"""Weights of encoders that come from elsewhere, read without ever unpickling code."""

import pickle
import re
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from capflow.errors import CapflowError
from capflow.models.encoder import Encoder

Weights = dict[str, Tensor]

_REMEDY = "fetch or save it again, or correct `encoder.weights` in params.yaml."
_OWN = "encoder.backbone."
# The published DenseNets were saved before layers could not have dots in their names: norm.1 is norm1.
_DOTTED = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.(?=[12]\.)")


def read_weights(path: Path) -> Weights:
    """Read a state dict from ``.safetensors``, ``.npz``, ``.pth`` or ``.pt``.

    Raises:
        CapflowError: the file is missing, damaged, of another kind, or holds more than tensors.
    """
    if not path.is_file():
        raise CapflowError(f"{path}: there is no such weights file; check `encoder.weights` in params.yaml.")
    try:
        match path.suffix:
            case ".safetensors":
                return load_file(path)
            case ".npz":
                return _npz(path)
            case ".pth" | ".pt":
                return _tensors(torch.load(path, map_location="cpu", weights_only=True), path)
            case _:
                raise CapflowError(f"{path}: weights are read from .safetensors, .npz, .pth or .pt only.")
    except pickle.UnpicklingError:
        # PyTorch's own words advise to unpickle it after all, which could run anybody's code.
        raise CapflowError(f"{path}: holds something else than tensors, or is damaged; {_REMEDY}") from None
    except (SafetensorError, ValueError, TypeError, OSError, BadZipFile, RuntimeError, EOFError) as error:
        reason = next(iter(str(error).splitlines()), "it ends too early")
        raise CapflowError(f"{path}: cannot be read as weights ({reason}); {_REMEDY}") from None


def _tensors(content: object, path: Path) -> Weights:
    if isinstance(content, dict) and all(isinstance(value, Tensor) for value in content.values()):
        return content
    raise CapflowError(f"{path}: holds no plain state dict; save `model.state_dict()` alone.")


def _npz(path: Path) -> Weights:
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
        if not isinstance(arrays, np.lib.npyio.NpzFile):
            raise TypeError("one array, not an archive of named ones")
        return {name: torch.from_numpy(arrays[name]) for name in arrays.files}


def check_weights(weights: Weights, model: nn.Module, path: Path) -> Weights:
    """The part of ``weights`` that ``model`` has, complete and of the right shapes.

    A head that the file lacks, or the counters of batch norms, do not matter to an encoder. The file may
    also be that of a whole captioner, whose encoder is taken.

    Raises:
        CapflowError: a tensor is missing, has another shape, or holds NaN or infinity.
    """
    weights = {_DOTTED.sub(r"\1", name).removeprefix(_OWN): tensor for name, tensor in weights.items()}
    chosen: Weights = {}
    for name, tensor in model.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        if name not in weights:
            raise CapflowError(f"{path}: has no tensor `{name}`; it holds weights of another network.")
        if weights[name].shape != tensor.shape:
            shapes = f"{list(weights[name].shape)}, not {list(tensor.shape)}"
            raise CapflowError(f"{path}: tensor `{name}` is {shapes}; it holds weights of another network.")
        if weights[name].is_complex() or not torch.isfinite(weights[name]).all():
            raise CapflowError(f"{path}: tensor `{name}` holds values that are no numbers; {_REMEDY}")
        chosen[name] = weights[name].float().contiguous()
    return chosen


def load_encoder(encoder: Encoder, path: Path) -> None:
    """Give an encoder the weights of data/encoder; with ``weights: none`` it keeps its random ones."""
    if weights := read_weights(path):
        encoder.backbone.load_state_dict(weights, strict=False)
