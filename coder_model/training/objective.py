"""The joint loss: autoregressive on every clean token, plus block diffusion on noised blocks, in one pass.

The clean tokens attend causally; each noised block attends to the clean tokens before it and to itself in both
directions (BD3-LM, arXiv:2503.09573), so both losses share the clean half's work. The autoregressive half is what
`verify` relies on, and it makes the diffusion half learn faster.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import create_block_mask, flex_attention

from coder_kernels.reference import attention
from coder_model.model.transformer import Attend, Transformer
from coder_model.training.cross_entropy import linear_cross_entropy
from coder_model.training.masks import additive, noised_mask, noised_seen
from coder_model.training.sampler import IGNORE, Batch


@dataclass(frozen=True, slots=True)
class Losses:
    """Losses of one batch; the means are in nats per token."""

    total: Tensor
    """[] float32, differentiable."""
    autoregressive: float
    middle: float
    """The autoregressive loss, over the middles alone."""
    full: float
    """Denoising, over blocks masked whole."""
    partial: float
    """Denoising, over the other blocks."""


def joint_loss(
    model: Transformer, batch: Batch, diffusion_weight: float, dtype: torch.dtype, middle_weight: float = 1.0
) -> Losses:
    """Returns 1.0 x autoregressive + `diffusion_weight` x diffusion, each a mean over its targets.

    Args:
        model: the weights.
        batch: see `Batch`.
        diffusion_weight: lambda in [0, 1].
        dtype: of the matrix products, bfloat16 where the processor has it.
        middle_weight: how much a token of a middle counts in the autoregressive mean, beside 1 for the others.
    """
    device = batch.clean.device
    length = batch.clean.shape[1]
    tokens = torch.cat([batch.clean, batch.noised], dim=1)
    slot = torch.arange(batch.block_length, device=device)
    positions = torch.cat(
        [
            torch.arange(length, device=device).expand_as(batch.clean),
            (batch.starts[:, :, None] + slot).flatten(1),
        ],
        dim=1,
    )
    attend = flex_joint_attention(batch) if device.type == "cuda" else joint_attention(batch, dtype)
    with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
        hidden = model(tokens, positions, attend).flatten(0, 1)
    targets = torch.cat([batch.targets, batch.noised_targets], dim=1).flatten()
    kept = targets != IGNORE
    no_clean, no_slot = torch.zeros_like(batch.in_middle), torch.zeros_like(batch.noised, dtype=torch.bool)
    is_noised = torch.cat([no_clean, ~no_slot], dim=1).flatten()[kept]
    in_middle = torch.cat([batch.in_middle, no_slot], dim=1).flatten()[kept]
    full = batch.full.repeat_interleave(batch.block_length, dim=1)
    is_full = torch.cat([no_clean, full], dim=1).flatten()[kept]
    clean_weights = torch.where(in_middle, middle_weight, 1.0).masked_fill(is_noised, 0.0)
    weights = torch.where(
        is_noised, diffusion_weight / is_noised.sum().clamp(min=1), clean_weights / clean_weights.sum().clamp(min=1)
    )
    total, each = linear_cross_entropy(hidden[kept], model.head, targets[kept], weights, dtype)
    partial = is_noised & ~is_full
    return Losses(total, _mean(each[~is_noised]), _mean(each[in_middle]), _mean(each[is_full]), _mean(each[partial]))


def joint_attention(batch: Batch, dtype: torch.dtype) -> Attend:
    """The training pass's attention over T clean tokens and N noised slots."""
    length = batch.clean.shape[1]
    causal = additive(torch.ones(length, length, dtype=torch.bool, device=batch.clean.device).tril(), dtype)
    noised = additive(noised_mask(batch.starts, batch.block_length, length)[:, None], dtype)

    def attend(_: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        q, k, v = q.to(dtype), k.to(dtype), v.to(dtype)
        clean = attention(q[:, :, :length], k[:, :, :length], v[:, :, :length], causal)
        return torch.cat([clean, attention(q[:, :, length:], k, v, noised)], dim=2)

    return attend


def flex_joint_attention(batch: Batch, fused: Callable[..., Tensor] | None = None) -> Attend:
    """The same attention in blocks that skip what nobody sees: for a GPU (flex attention, arXiv:2412.05496).

    Args:
        batch: on the device of the pass.
        fused: stands in for the compiled `flex_attention`.
    """
    run = fused or _compiled_flex_attention()
    rows, length = batch.clean.shape
    size = length + batch.noised.shape[1]
    seen = noised_seen(batch.starts, batch.block_length, length)
    mask = create_block_mask(seen, rows, None, size, size, device=batch.starts.device)

    def attend(_: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return run(q, k.to(q.dtype), v.to(q.dtype), block_mask=mask, enable_gqa=True)

    return attend


@cache
def _compiled_flex_attention() -> Callable[..., Tensor]:
    # not compiled, it would hold every score
    compiled: Callable[..., Tensor] = torch.compile(flex_attention)
    return compiled


def _mean(losses: Tensor) -> float:
    return float(losses.mean()) if losses.numel() else float("nan")
