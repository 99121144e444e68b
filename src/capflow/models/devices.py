"""Where models run, how exactly, and from which seed."""

import os
import random

import numpy as np
import torch


def best_device() -> torch.device:
    """The GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def autocast(device: torch.device, precision: str = "auto") -> torch.autocast:
    """Compute in ``bf16``, in ``fp32``, or (``auto``) in bf16 where the device is made for it."""
    return torch.autocast(device.type, torch.bfloat16, enabled=is_reduced(device, precision))


def is_reduced(device: torch.device, precision: str) -> bool:
    """Whether that is bf16; what is made for it is a GPU, or a processor with AMX or AVX512-BF16."""
    able = torch.cpu.get_capabilities()
    fast = device.type == "cuda" or bool(able.get("amx_bf16") or able.get("avx512_bf16"))
    return precision == "bf16" or (precision == "auto" and fast)


def seed_everything(seed: int) -> None:
    """Make the same seed give the same weights, on one machine, bit for bit."""
    # cuBLAS is deterministic only with a fixed workspace, chosen before its first use.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(mode=True)
    # Filling memory that is about to be written costs a fifth of an encoder's time and changes nothing.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - for libraries that still use the global generator
    torch.manual_seed(seed)
