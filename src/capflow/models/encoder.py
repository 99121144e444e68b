"""The encoder: any torchvision classifier without its head, or a small network for small pictures.

It gives one vector for each cell of its last feature map, [N, cells, channels]; pooled, there is one
cell, the mean. For ResNet-50 at 224 pixels that is [N, 49, 2048] or [N, 1, 2048].
"""

import difflib
import math
from typing import cast

import torch
from torch import Tensor, nn
from torchvision import models
from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names

from capflow.errors import CapflowError
from capflow.models.folding import fold
from capflow.models.padding import TensorFlowConv2d, pad_like_tensorflow
from capflow.models.small import SmallNet
from capflow.params import EncoderParams

SMALL = "small"
_HEADS = ("fc", "classifier", "head", "heads")
_PROBE = 224
_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)


class Encoder(nn.Module):
    """Pixels to features.

    Attributes:
        channels: the length of each feature vector.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, params: EncoderParams) -> None:
        """Build the network with random weights.

        Raises:
            CapflowError: torchvision has no classifier of that name.
        """
        super().__init__()
        self.name = params.name
        self.pooled = params.features == "pooled"
        self.trainable = params.trainable
        self.pretrained = params.weights != "none"
        self.backbone: nn.Module
        self.backbone, self.channels = (
            (SmallNet(), SmallNet.channels) if params.name == SMALL else _headless(params)
        )
        self.register_buffer("mean", torch.tensor(_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(_STD).view(1, 3, 1, 1), persistent=False)
        self.requires_grad_(params.trainable)
        # The layout that convolutions are fastest in; the values are the same.
        self.to(memory_format=torch.channels_last)

    def train(self, mode: bool = True) -> "Encoder":
        """What is frozen stays in evaluation mode: its batch norms must not learn either.

        Batch norms of pretrained weights never see a batch: they keep what they know of a million
        pictures, and those that were folded into the convolutions have nothing else to go by.
        """
        super().train(mode and any(weight.requires_grad for weight in self.parameters()))
        for module in self.modules():
            own = list(module.parameters(recurse=False))
            frozen = own and not any(weight.requires_grad for weight in own)
            if frozen or (self.pretrained and isinstance(module, nn.BatchNorm2d)):
                module.training = False
        return self

    def learning(self, first: str) -> list[nn.Parameter]:
        """The weights that may learn: none where it is not trainable, else those of a layer and all behind.

        Args:
            first: the layer, as the network names it (``layer4``); ``all``: from the first one on.

        Raises:
            CapflowError: there is no layer of that name with weights.
        """
        named = list(self.backbone.named_parameters()) if self.trainable else []
        places = [place for place, (name, _) in enumerate(named) if name.startswith(f"{first}.")]
        if named and first != "all" and not places:
            raise CapflowError(
                f"params.yaml: `train.encoder.from_layer` is {first!r}, but the layers of {self.name} are "
                f"{', '.join(_layers([name for name, _ in named]))}; choose one of them, or all."
            )
        return [weight for _, weight in named[min(places, default=0) :]]

    def thaw(self, first: str, *, wanted: bool) -> None:
        """Let the weights of :meth:`learning` learn if ``wanted``, and no others."""
        self.requires_grad_(requires_grad=False)
        for weight in self.learning(first):
            weight.requires_grad_(wanted)

    def fold(self) -> None:
        """Be faster from now on, at the price of never learning again (:mod:`capflow.models.folding`)."""
        self.eval()
        fold(self.backbone)

    @torch.no_grad()
    def cells(self, side: int) -> int:
        """How many vectors it gives for a picture of ``side`` x ``side`` pixels.

        Raises:
            CapflowError: it cannot see pictures of that size.
        """
        training = self.training
        self.eval()
        try:
            return int(self(torch.zeros(1, side, side, 3, dtype=torch.uint8)).shape[1])
        except (RuntimeError, AssertionError):  # vision transformers take one size only, and assert it
            raise CapflowError(
                f"params.yaml: the encoder {self.name} cannot see pictures of {side} x {side} pixels; "
                "change `tensors.size` (or `train.augment.crop`); most classifiers were made for 224."
            ) from None
        finally:
            self.train(training)

    def forward(self, pixels: Tensor) -> Tensor:
        """Encode pictures.

        Args:
            pixels: uint8 [N, height, width, 3]; normalised here, on the device.

        Returns:
            float [N, cells, channels].
        """
        images = pixels.permute(0, 3, 1, 2).float().div_(255).sub_(self.mean).div_(self.std)
        grid = self.backbone(images)
        if isinstance(grid, dict):
            grid = grid["grid"]
        cells = grid.flatten(2).transpose(1, 2) if grid.dim() == 4 else grid[:, 1:]
        return cast("Tensor", cells.mean(1, keepdim=True) if self.pooled else cells)

    def as_map(self, weights: Tensor) -> Tensor:
        """Weights of cells, float [..., cells], by place on the picture, [..., rows, columns]; not if pooled.

        What the cell of the whole picture has (:class:`~capflow.models.small.SmallNet`) is shared among
        the others.
        """
        if isinstance(self.backbone, SmallNet):
            whole, weights = weights[..., :1], weights[..., 1:]
            weights = weights + whole / weights.shape[-1]
        side = math.isqrt(weights.shape[-1])
        return weights.reshape(*weights.shape[:-1], side, side)


def classifier(name: str) -> nn.Module:
    """A torchvision classifier with random weights.

    Raises:
        CapflowError: there is none of that name.
    """
    names = models.list_models(module=models)
    if name not in names:
        close = difflib.get_close_matches(name, names, n=3)
        hint = f"did you mean {' or '.join(close)}?" if close else "see torchvision's classification models."
        raise CapflowError(
            f"params.yaml: `encoder.name` is {name!r}, which torchvision does not have; {hint}"
        )
    options = {}
    if name in {"googlenet", "inception_v3"}:
        # These two have auxiliary outputs, an initialisation that takes minutes, and published weights
        # that want other values of pixels than all the others, unless told otherwise.
        options = {"aux_logits": False, "init_weights": False, "transform_input": True}
    return cast("nn.Module", models.get_model(name, weights=None, **options))


def _layers(weights: list[str]) -> list[str]:
    """The layers on top of a network, or those of its only one, by the names of weights."""
    for depth in (1, 2):
        names = list(dict.fromkeys(".".join(name.split(".")[:depth]) for name in weights))
        if len(names) > 1:
            break
    return names


def _headless(params: EncoderParams) -> tuple[nn.Module, int]:
    """Cut a classifier after its last feature map [N, C, H, W], or after its tokens [N, 1 + cells, C].

    The cut is found on the traced graph by running it once: the last node outside the head whose
    output is one of the two. Convolutional networks end in maps; vision transformers in tokens, of
    which the first is the class token.
    """
    model = classifier(params.name).eval()
    if params.padding == "tensorflow":
        pad_like_tensorflow(model)
    tracing = {"leaf_modules": [TensorFlowConv2d]}
    names = get_graph_node_names(model, tracer_kwargs=tracing)[1]
    nodes = [node for node in names if node.split(".")[0] not in _HEADS]
    with torch.no_grad():
        outputs = create_feature_extractor(model, nodes, tracer_kwargs=tracing)(
            torch.zeros(1, 3, _PROBE, _PROBE)
        )
    tensors = {node: value for node, value in outputs.items() if isinstance(value, Tensor)}
    cut, probe = next(item for item in reversed(tensors.items()) if _is_grid(item[1]))
    channels = probe.shape[1] if probe.dim() == 4 else probe.shape[2]
    return create_feature_extractor(model, {cut: "grid"}, tracer_kwargs=tracing), channels


def _is_grid(output: Tensor) -> bool:
    return (output.dim() == 4 and output.shape[-1] > 1) or (output.dim() == 3 and output.shape[1] > 1)
