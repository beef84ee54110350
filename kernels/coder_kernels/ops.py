"""The operations of a pass, in plain torch, and which number format is fastest here."""

from __future__ import annotations

import time
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor


class Selection(NamedTuple):
    """What a slot's scores say, per slot."""

    token: Tensor
    """[M] int64, the likeliest token."""
    confidence: Tensor
    """[M] float32 in (0, 1], its probability."""
    margin: Tensor
    """[M] float32 in [0, 1], its lead over the second."""
    entropy: Tensor
    """[M] float32 >= 0, in nats."""


def select(logits: Tensor) -> Selection:
    """Returns token, confidence, margin and entropy of each row of `logits`.

    Args:
        logits: [M, V] float with V > 1; forbidden tokens hold -inf, never a whole row.

    Raises:
        ValueError: when `logits` is not [M, V] with V > 1.
    """
    if logits.dim() != 2 or logits.shape[1] < 2:
        raise ValueError(f"logits must be [M, V] with V > 1, got shape {tuple(logits.shape)}")
    log_p = logits.float().log_softmax(dim=1)
    p = log_p.exp()
    top = p.topk(2, dim=1)
    # 0 * -inf is NaN: a forbidden token adds nothing
    entropy = -(p * log_p.masked_fill(torch.isinf(log_p), 0.0)).sum(dim=1)
    return Selection(top.indices[:, 0], top.values[:, 0], top.values[:, 0] - top.values[:, 1], entropy)


def attention(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
    """Attention as two plain products, grouped queries sharing their keys.

    In bfloat16 on a CPU it takes half the time of torch's fused kernel, forward and backward (torch 2.13, AVX512_BF16).

    Args:
        q: [B, H, T, K] float.
        k: [B, G, S, K] of the same dtype, H a multiple of G.
        v: the same as k.
        bias: [T, S] or [B, 1, T, S] of the same dtype, added to the scores: 0 where seen, -inf where not.

    Returns:
        [B, H, T, K].
    """
    batch, heads, length, width = q.shape
    groups = k.shape[1]
    together = (batch, groups, heads // groups * length, -1)
    scores = (q * width**-0.5).reshape(together) @ k.transpose(-1, -2)
    seen = scores.view(batch, groups, -1, length, k.shape[2]) + (bias if bias.dim() == 2 else bias[:, None])
    out: Tensor = seen.softmax(dim=-1).view(together) @ v
    return out.view(batch, heads, length, width)


@cache
def prefill_dtype() -> torch.dtype:
    """Returns bfloat16 where this processor multiplies it clearly faster than float32, by measuring (1 ms)."""
    seconds: dict[torch.dtype, float] = {}
    for dtype in (torch.float32, torch.bfloat16):
        x, weight = torch.ones(256, 256, dtype=dtype), torch.ones(704, 256, dtype=dtype)
        for _ in range(5):
            began = time.perf_counter()
            torch.nn.functional.linear(x, weight)
            seconds[dtype] = min(seconds.get(dtype, 1.0), time.perf_counter() - began)
    return torch.bfloat16 if seconds[torch.bfloat16] < 0.7 * seconds[torch.float32] else torch.float32
