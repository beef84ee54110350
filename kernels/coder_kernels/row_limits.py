"""How many rows the Triton kernels take: above that torch's own products are as fast on an H200, or faster.

Measured: `benchmarks/results/gpu.json`.
"""

from __future__ import annotations

from typing import Any

import torch

from coder_kernels.tensor_types import Activations, Rows, rows_of

FEW_ROWS = 128
"""Most rows of activations in floating point."""
FEW_DENSE_ROWS = 32
"""Most rows of a dense linear layer; for the gated MLP and the head torch makes several kernels."""
FEW_INT8_ROWS = 512
"""Most rows of int8 on both sides: torch's product leaves int32, which other kernels scale."""
MOST_QUERIES = 256
"""Tokens of a sequence whose attention is a kernel: a portion of a context, which can be captured then."""


def few_rows(x: Activations) -> int:
    """Returns how many rows of a product of `x` go to the kernels."""
    return FEW_INT8_ROWS if rows_of(x).dtype == torch.int8 else FEW_ROWS


def first_rows(x: Any, start: int) -> Any:
    """Returns at most `FEW_ROWS` rows of `x`, a tensor or `Rows`, from `start` on; None of None."""
    if x is None:
        return None
    end = start + FEW_ROWS
    return Rows(x.values[start:end], x.scale[start:end]) if isinstance(x, Rows) else x[start:end]
