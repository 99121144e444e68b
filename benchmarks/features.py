"""Features of a frozen ResNet-50, 224 x 224 pixels: Capflow's encoder against torchvision's as people run it.

The peer is torchvision's network in its own layout (NCHW), fp32, 32 pictures at a time, normalised by torch.
Each runs in processes of its own, in turn, because a process decides once what it does with its memory.
"""

import subprocess
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torchvision import models

from benchmarks.inputs import photographs
from benchmarks.report import require, row
from capflow import memory
from capflow.data.pictures import decode
from capflow.data.resize import resize
from capflow.models.devices import autocast
from capflow.models.encoder import Encoder
from capflow.params import EncoderParams

PICTURES, ROUNDS = 64, 3
CPU = torch.device("cpu")
Encode = Callable[[Tensor], Tensor]


def main() -> None:
    """Measure in turn, compare the features, and print."""
    best = dict.fromkeys(("capflow", "capflow bf16", "torchvision"), 0.0)
    for _ in range(ROUNDS):
        for way in best:
            done = subprocess.run(  # noqa: S603 - our own file
                [sys.executable, "-m", "benchmarks.features", way], check=True, capture_output=True, text=True
            )
            best[way] = max(best[way], float(done.stdout))
    print("pictures a second: " + ", ".join(f"{way} {rate:.1f}" for way, rate in best.items()))
    exact, reduced = (best[way] / best["torchvision"] for way in ("capflow", "capflow bf16"))
    wide, narrow, origin = agreement()
    require(wide >= 0.99999, f"Capflow's features in fp32 are not torchvision's: a cosine is {wide:.6f}.")
    require(narrow >= 0.999, f"Capflow's features in bf16 are not torchvision's: a cosine is {narrow:.6f}.")
    work = f"frozen ResNet-50 features, cosine on {origin}"
    row(4, f"{work}, fp32", f"{exact:.2f}x, cosine {wide:.6f}", ">= 1.4x", met=exact >= 1.4)
    amx = torch.cpu.get_capabilities().get("amx_bf16")
    goal = ">= 3x with AMX, cosine >= 0.999" + ("" if amx else " (this processor has none)")
    row(4, f"{work}, bf16", f"{reduced:.2f}x, cosine {narrow:.6f}", goal, met=reduced >= 3)


def measure(way: str) -> None:
    """Print how many pictures a second one way encodes, at best."""
    pixels = torch.randint(256, (PICTURES, 224, 224, 3), dtype=torch.uint8)
    if way != "torchvision":
        memory.keep()
    encode = encoder(way)
    best = 0.0
    for _ in range(3):
        start = time.perf_counter()
        for batch in torch.split(pixels, 32):
            encode(batch)
        best = max(best, PICTURES / (time.perf_counter() - start))
    print(best)


def network() -> nn.Module:
    """ResNet-50, the same each time, with statistics that keep its features in bounds."""
    torch.manual_seed(0)
    model: nn.Module = models.resnet50(weights=None).eval()
    return model


def encoder(way: str) -> Encode:
    """Pixels, uint8 [B, 224, 224, 3], to features, [B, 2048], in one of the three ways."""
    whole = network()
    if way == "torchvision":
        whole.fc = nn.Identity()
        return torch.inference_mode()(lambda pixels: whole(normalised(pixels)))
    params = EncoderParams(
        name="resnet50",
        weights="none",
        padding="torch",
        trainable=False,
        features="pooled",
        mirrored=False,
        crops=0,
    )
    ours = Encoder(params).eval()
    ours.backbone.load_state_dict(whole.state_dict(), strict=False)

    @torch.inference_mode()
    def encode(pixels: Tensor) -> Tensor:
        with autocast(CPU, "bf16" if way.endswith("bf16") else "fp32"):
            features: Tensor = ours(pixels)
        return features[:, 0]

    return encode


def normalised(pixels: Tensor) -> Tensor:
    """As torchvision's transforms do it, [B, 3, 224, 224]."""
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    return (pixels.permute(0, 3, 1, 2).contiguous().float() / 255 - mean) / std


def agreement() -> tuple[float, float, str]:
    """The least cosine of torchvision's features and Capflow's in fp32, and in bf16; of which pictures."""
    files, origin = photographs()
    pixels = torch.stack([resize(decode(file, "a photograph"), 224, "crop") for file in files[:32]])
    wanted = encoder("torchvision")(pixels)
    near = [encoder(way)(pixels).float() for way in ("capflow", "capflow bf16")]
    exact, reduced = (float(torch.cosine_similarity(features, wanted).min()) for features in near)
    # All features of random weights point the same way; this is of what differs between pictures.
    centre = wanted.mean(0)
    apart = (near[1] - wanted).norm(dim=1) / (wanted - centre).norm(dim=1)
    print(f"bf16: off by {float(apart.mean()):.1%} of a picture's distance from the mean of all")
    return exact, reduced, origin


if __name__ == "__main__":
    measure(sys.argv[1]) if len(sys.argv) > 1 else main()
