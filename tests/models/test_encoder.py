"""Encoders: any torchvision classifier, cut before its head."""

import pytest
import torch
from torch import nn
from torch.fx import symbolic_trace

from capflow.errors import CapflowError
from capflow.models.encoder import Encoder, classifier
from capflow.models.folding import fold
from capflow.params import EncoderParams


def params(
    name: str,
    features: str = "grid",
    *,
    trainable: bool = False,
    weights: str = "none",
    padding: str = "torch",
) -> EncoderParams:
    return EncoderParams.model_validate(
        {
            "name": name,
            "weights": weights,
            "padding": padding,
            "trainable": trainable,
            "features": features,
            "mirrored": False,
            "crops": 0,
        }
    )


def pixels(side: int) -> torch.Tensor:
    return torch.randint(
        0, 256, (2, side, side, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )


@pytest.mark.parametrize(
    ("name", "side", "cells", "channels"),
    [
        ("small", 64, 10, 128),
        ("resnet18", 224, 49, 512),
        ("squeezenet1_0", 224, 169, 512),
        ("mobilenet_v2", 128, 16, 1280),
        ("shufflenet_v2_x0_5", 96, 9, 1024),
        ("swin_t", 224, 49, 768),
        ("vit_b_32", 224, 49, 768),
        ("googlenet", 128, 16, 1024),
    ],
)
def test_the_last_feature_map_is_found(name: str, side: int, cells: int, channels: int) -> None:
    torch.manual_seed(0)
    encoder = Encoder(params(name)).eval()
    with torch.no_grad():
        grid = encoder(pixels(side))
    assert grid.shape == (2, cells, channels)
    assert encoder.channels == channels


def test_pooled_resnet_features_are_what_its_last_layer_sees() -> None:
    torch.manual_seed(0)
    whole = classifier("resnet18").eval()
    encoder = Encoder(params("resnet18", "pooled")).eval()
    encoder.backbone.load_state_dict(whole.state_dict(), strict=False)
    whole.fc = nn.Identity()
    images = (pixels(96).permute(0, 3, 1, 2) / 255 - encoder.mean) / encoder.std
    with torch.no_grad():
        torch.testing.assert_close(encoder(pixels(96))[:, 0], whole(images), rtol=1e-4, atol=1e-4)


def test_a_frozen_encoder_never_changes() -> None:
    torch.manual_seed(0)
    encoder = Encoder(params("small")).train()
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    encoder(pixels(32))
    assert not any(parameter.requires_grad for parameter in encoder.parameters())
    assert all(torch.equal(before[name], value) for name, value in encoder.state_dict().items())


def test_a_trainable_encoder_learns_in_training_mode() -> None:
    encoder = Encoder(params("small", trainable=True)).train()
    encoder(pixels(32)).sum().backward()
    assert all(parameter.grad is not None for parameter in encoder.parameters())


@pytest.mark.parametrize(
    ("name", "first", "frozen"),
    [
        ("small", "all", 0),
        ("small", "layers.6", 6),  # two convolutions, each with the two weights of its norm
        ("resnet18", "layer4", 45),
    ],
)
def test_it_learns_from_a_layer_on_and_its_norms_with_it(name: str, first: str, frozen: int) -> None:
    encoder = Encoder(params(name, trainable=True))
    encoder.thaw(first, wanted=True)
    encoder.train()
    weights = list(encoder.parameters())
    assert [weight.requires_grad for weight in weights] == [False] * frozen + [True] * (len(weights) - frozen)
    assert encoder.learning(first) == weights[frozen:]
    norms = [module for module in encoder.modules() if isinstance(module, nn.BatchNorm2d)]
    assert all(norm.training == norm.weight.requires_grad for norm in norms)
    encoder.thaw(first, wanted=False)
    assert not any(weight.requires_grad for weight in weights)
    assert not any(module.training for module in encoder.train().modules())


def test_batch_norms_of_pretrained_weights_keep_their_statistics() -> None:
    encoder = Encoder(params("small", trainable=True, weights="imagenet")).train()
    before = {name: value.clone() for name, value in encoder.named_buffers()}
    encoder(pixels(64))
    assert all(torch.equal(value, before[name]) for name, value in encoder.named_buffers())
    assert encoder.backbone.training


@pytest.mark.parametrize(
    ("name", "layers"), [("small", "layers.0, layers.1, layers.3"), ("resnet18", "conv1, bn1, layer1,")]
)
def test_a_layer_that_is_not_there_is_named_with_those_that_are(name: str, layers: str) -> None:
    with pytest.raises(CapflowError, match=rf"`train.encoder.from_layer` is 'layer9'.* {name} are {layers}"):
        Encoder(params(name, trainable=True)).learning("layer9")
    assert Encoder(params(name)).learning("layer9") == []


@pytest.mark.parametrize(("name", "hint"), [("resnet5O", "resnet50"), ("fasterrcnn_resnet50_fpn", "")])
def test_an_unknown_name_is_an_error_with_a_hint(name: str, hint: str) -> None:
    with pytest.raises(CapflowError, match=rf"`encoder.name` is '{name}'.*{hint}"):
        Encoder(params(name))


@pytest.mark.parametrize(
    ("name", "side"), [("small", 16), ("squeezenet1_0", 16), ("alexnet", 32), ("vit_b_32", 64)]
)
def test_pictures_that_are_too_small_are_an_error_that_says_so(name: str, side: int) -> None:
    with pytest.raises(CapflowError, match=rf"{name} cannot see pictures of {side} x {side} pixels"):
        Encoder(params(name)).cells(side)


def test_inception_gets_the_pixels_that_its_published_weights_want() -> None:
    assert classifier("googlenet").transform_input
    assert classifier("inception_v3").transform_input


@pytest.mark.parametrize(
    ("name", "padding", "left"),
    [
        ("small", "torch", 0),
        ("resnet18", "torch", 0),
        ("mobilenet_v2", "tensorflow", 0),
        ("googlenet", "torch", 0),
        ("densenet121", "torch", 62),  # most of its norms come before convolutions
        ("swin_t", "torch", 0),
    ],
)
def test_a_folded_encoder_sees_the_same(name: str, padding: str, left: int) -> None:
    torch.manual_seed(0)
    encoder = Encoder(params(name, padding=padding)).eval()
    for layer in encoder.modules():
        if isinstance(layer, nn.BatchNorm2d):
            for values in (layer.weight.data, layer.running_var, layer.bias.data, layer.running_mean):
                assert values is not None
                values.uniform_(0.5, 1.5)
    with torch.inference_mode():
        before = encoder(pixels(96))
        encoder.fold()
        after = encoder(pixels(96))
    assert before.std() > 0
    torch.testing.assert_close(after, before, rtol=1e-3, atol=1e-4 * float(before.abs().max()))
    assert sum(isinstance(layer, nn.BatchNorm2d) for layer in encoder.modules()) == left


class Twice(nn.Module):
    """A convolution that two layers listen to."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        seen = self.convolution(images)
        told: torch.Tensor = self.norm(seen) + seen
        return told


def test_a_convolution_that_others_listen_to_stays_as_it_is() -> None:
    network = symbolic_trace(Twice()).eval()
    network.norm.running_mean.fill_(2)  # type: ignore[union-attr, operator]
    images = torch.randn(2, 3, 4, 4)
    before = network(images)
    fold(network)
    assert torch.equal(network(images), before)
