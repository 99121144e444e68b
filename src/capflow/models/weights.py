"""Weights of encoders that come from elsewhere, read without ever unpickling code."""

import pickle
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
                with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
                    return {name: torch.from_numpy(arrays[name]) for name in arrays.files}
            case ".pth" | ".pt":
                return _tensors(torch.load(path, map_location="cpu", weights_only=True), path)
            case _:
                raise CapflowError(f"{path}: weights are read from .safetensors, .npz, .pth or .pt only.")
    except (SafetensorError, ValueError, OSError, BadZipFile, RuntimeError, EOFError) as error:
        raise _damaged(path, error) from None
    except pickle.UnpicklingError as error:
        raise _damaged(path, error) from None


def _tensors(content: object, path: Path) -> Weights:
    if isinstance(content, dict) and all(isinstance(value, Tensor) for value in content.values()):
        return content
    raise CapflowError(f"{path}: holds no plain state dict; save `model.state_dict()` alone.")


def _damaged(path: Path, error: Exception) -> CapflowError:
    return CapflowError(f"{path}: cannot be read as weights ({str(error).splitlines()[0]}); fetch it again.")


def check_weights(weights: Weights, model: nn.Module, path: Path) -> Weights:
    """The part of ``weights`` that ``model`` has, complete and of the right shapes.

    A head that the file lacks, or the counters of batch norms, do not matter to an encoder.

    Raises:
        CapflowError: a tensor is missing or has another shape.
    """
    chosen: Weights = {}
    for name, tensor in model.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        if name not in weights:
            raise CapflowError(f"{path}: has no tensor `{name}`; it holds weights of another network.")
        if weights[name].shape != tensor.shape:
            shapes = f"{list(weights[name].shape)}, not {list(tensor.shape)}"
            raise CapflowError(f"{path}: tensor `{name}` is {shapes}; it holds weights of another network.")
        chosen[name] = weights[name].float().contiguous()
    return chosen


def load_encoder(encoder: Encoder, path: Path) -> None:
    """Give an encoder the weights of data/encoder; with ``weights: none`` it keeps its random ones."""
    if weights := read_weights(path):
        encoder.backbone.load_state_dict(weights, strict=False)
