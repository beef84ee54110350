"""The operations of a denoise step, in plain torch."""

from __future__ import annotations

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
