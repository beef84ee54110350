"""What training computes on, and what it multiplies in."""

from __future__ import annotations

import torch

from coder_kernels.cpu_dtype import learns_in_bfloat16
from coder_model.errors import CorpusError
from coder_model.model.transformer import Transformer


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


def device_of(name: str, rank: int) -> torch.device:
    """Returns the device of a process, one GPU each.

    Raises:
        CorpusError: when a GPU is asked for and there is none.
    """
    has_gpu = torch.cuda.is_available()
    if name not in ("auto", "cpu", "cuda") or (name == "cuda" and not has_gpu):
        raise CorpusError(f"device must be auto, cpu or cuda (with a GPU), got {name!r}")
    return torch.device("cuda", rank % torch.cuda.device_count()) if has_gpu and name != "cpu" else torch.device("cpu")


def compile_(model: Transformer, backend: str) -> None:
    """Lets a backend of `torch.compile` run the model's pass.

    Raises:
        CorpusError: when there is no such backend.
    """
    backends = torch.compiler.list_backends(())
    if backend not in backends:
        raise CorpusError(f"compiler must be one of {', '.join(backends)}, got {backend!r}")
    model.compile(backend=backend, dynamic=False)
