"""What training multiplies in."""

from __future__ import annotations

import torch

from coder_kernels.cpu_dtype import learns_in_bfloat16


def training_dtype(device: torch.device, bf16: bool | None = None) -> torch.dtype:
    """Returns bfloat16 on a GPU and on a CPU that multiplies faster in it, float32 elsewhere.

    A CPU without the instructions takes up to 60 times as long in bfloat16.

    Args:
        device: of the weights.
        bf16: True or False where somebody has said so.
    """
    if bf16 is None:
        bf16 = device.type == "cuda" or learns_in_bfloat16()
    return torch.bfloat16 if bf16 else torch.float32
