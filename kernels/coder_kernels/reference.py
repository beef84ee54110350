"""The operations in plain torch, on any device, in any floating dtype: what a kernel is held to, and the CPU's path."""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F  # noqa: N812  the name everyone uses
from torch import Tensor

from coder_kernels import cpu_int8
from coder_kernels.cpu import grouped
from coder_kernels.policies import Schedule, Step
from coder_kernels.quantise import MOST, Packed, PackedGroups, Quantised, dequantise
from coder_kernels.tensor_types import Activations, AttentionMetadata, Blocks, GroupedRows, Rows, Selection, Weight


def quantise_rows(x: Tensor, dtype: torch.dtype) -> Rows:
    """Returns x [M, K] in int8 or float8_e4m3fn, a scale per row; a row of zeros keeps the scale of 1e-8."""
    x = x.float()
    scale = x.abs().amax(dim=1, keepdim=True).clamp_(min=1e-8) / MOST[dtype]
    scaled = x / scale
    return Rows(scaled.round_().to(dtype) if dtype == torch.int8 else scaled.to(dtype), scale)


def linear(x: Activations, weight: Weight) -> Tensor:
    """Returns x W^T as [1, M, N] partial sums: see `ops.linear`."""
    if isinstance(weight, PackedGroups):
        assert isinstance(x, GroupedRows)
        return grouped.linear(x, weight)[None]
    assert not isinstance(x, GroupedRows)
    if isinstance(weight, Packed):
        assert isinstance(x, Rows)
        return cpu_int8.linear(x, weight)[None]
    if isinstance(x, Rows) and isinstance(weight, Quantised) and x.values.is_cuda:
        # not on a CPU: without instructions for it, its sums overflow
        if x.values.dtype == torch.float8_e4m3fn:
            return fp8_product(x, weight)[None]
        whole = torch._int_mm(x.values, weight.values.T)
        return whole.float().mul_(x.scale).mul_(weight.scale.T)[None]
    if isinstance(x, Rows):
        x = x.values.float() * x.scale
    if isinstance(weight, Quantised):
        weight = dequantise(weight, x.dtype)
    return F.linear(x, weight)[None]


def fp8_product(x: Rows, weight: Quantised) -> Tensor:
    """Returns x W^T as [M, N] bfloat16, multiplied in fp8 as torch does it for many rows on a GPU."""
    return torch._scaled_mm(x.values, weight.values.T, x.scale, weight.scale.T, out_dtype=torch.bfloat16)


def swiglu(x: Activations, gate_up: Weight, dtype: torch.dtype) -> Tensor:
    """Returns silu(x G^T) * (x U^T) as [M, F] for gate_up [2 F, D], the gate first: see `ops.swiglu`."""
    gate, up = linear(x, gate_up)[0].chunk(2, dim=1)
    return (F.silu(gate) * up).to(dtype)


def add_rms_norm(parts: Tensor, residual: Tensor | None, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """Returns the normalised sum [M, D] in the dtype of `weight`, and the sum itself: see `ops.add_rms_norm`."""
    total = _sum(parts)
    if residual is not None:
        total = total + residual
    return _rms_norm(total, weight.to(total.dtype), eps).to(weight.dtype), total


def rotate_and_write_(
    parts: Tensor,
    bias: Tensor | None,
    norms: tuple[Tensor, Tensor] | None,
    eps: float,
    tables: tuple[Tensor, Tensor],
    keys: Tensor,
    values: Tensor,
    spans: AttentionMetadata,
) -> Tensor:
    """Writes keys and values of a pass, returns its queries [B, T, H, K]: see `ops.rotate_and_write_`."""
    batch, (_, groups, _, width) = len(spans.rows), keys.shape
    qkv = _sum(parts)
    if bias is not None:
        qkv = qkv + bias
    length = len(qkv) // batch
    heads = qkv.view(batch, length, -1, width)
    n_heads = heads.shape[2] - 2 * groups
    turning, v = torch.split(heads, [n_heads + groups, groups], dim=2)
    if norms:
        q, k = torch.split(turning, [n_heads, groups], dim=2)
        turning = torch.cat([_rms_norm(x, w.to(x.dtype), eps) for x, w in zip((q, k), norms, strict=True)], dim=2)
    cos, sin = (table.view(batch, length, 1, -1).to(qkv.dtype) for table in tables)
    queries, turned = torch.split(_rotate(turning, cos, sin), [n_heads, groups], dim=2)
    for index, (row, start) in enumerate(zip(spans.rows.tolist(), spans.starts.tolist(), strict=True)):
        keys[row, :, start : start + length] = turned[index].transpose(0, 1)
        values[row, :, start : start + length] = v[index].transpose(0, 1)
    return queries.to(keys.dtype).contiguous()


def block_attention(q: Tensor, keys: Tensor, values: Tensor, spans: AttentionMetadata, block_length: int) -> Tensor:
    """Returns [B * T, H * K], the attention of a pass over the cache: see `ops.block_attention`."""
    batch, length, n_heads, width = q.shape
    out = torch.zeros_like(q)
    for index, (row, start, count) in enumerate(zip(*(part.tolist() for part in spans), strict=True)):
        if count == 0:
            continue
        end = start + count
        # one token, or one block, sees all that is there
        alone = block_length == 0 or count == 1 or (count == block_length and start % block_length == 0)
        seen = None if alone else visible(start, count, block_length, q.device)
        out[index, :count] = F.scaled_dot_product_attention(
            q[index, :count].transpose(0, 1)[None],
            keys[row, :, :end][None],
            values[row, :, :end][None],
            attn_mask=seen,
            enable_gqa=True,
        )[0].transpose(0, 1)
    return out.view(batch * length, n_heads * width)


@lru_cache(maxsize=8)
def visible(start: int, count: int, block_length: int, device: torch.device) -> Tensor:
    """Returns [count, start + count] bool, which keys the new tokens of one sequence see: see `ops.block_attention`."""
    key = torch.arange(start + count, device=device)
    query = torch.arange(start, start + count, device=device)[:, None]
    end = (query // block_length + 1) * block_length if block_length else torch.full_like(query, start + count)
    return key < end


def head_select(hidden: Activations, weight: Weight, forbidden: Tensor | None = None) -> Selection:
    """Returns the likeliest token of each row, its confidence and entropy: see `score_ops.head_select`."""
    logits = linear(hidden, weight)[0]
    if forbidden is not None:
        logits = logits.masked_fill(forbidden, float("-inf"))
    return select(logits)


def select(logits: Tensor) -> Selection:
    """Returns token, confidence and entropy of each row of logits [M, V]: see `score_ops.select`."""
    log_p = logits.to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(dim=1)
    p = log_p.exp()
    confidence, token = p.max(dim=1)
    # 0 * -inf is NaN: a forbidden token adds nothing
    entropy = -(p * log_p.masked_fill(log_p == -torch.inf, 0.0)).sum(dim=1)
    return Selection(token, confidence, entropy)


def unmask_(blocks: Blocks, found: Selection, shifted: bool, schedule: Schedule, ends: Tensor) -> None:
    """Notes the selections of a pass over blocks, and reveals slots: see `score_ops.unmask_`."""
    n_slots, shift = blocks.tokens.shape[1], int(shifted)
    token, confidence, entropy = (F.pad(part.view(-1, n_slots)[:, : n_slots - shift], (shift, 0)) for part in found)
    news = blocks.masked & blocks.active[:, None]
    blocks.candidates.copy_(torch.where(news, token, blocks.candidates))
    blocks.confidence.copy_(torch.where(news, confidence, blocks.confidence))
    blocks.entropy.copy_(torch.where(news, entropy, blocks.entropy))
    step = Step(blocks.confidence, blocks.entropy, blocks.masked, blocks.steps, schedule.total)
    last = (blocks.steps + 1 >= schedule.total)[:, None]
    revealed = (schedule.policy(step, schedule.options) | (blocks.masked & last)) & blocks.active[:, None]
    blocks.tokens.copy_(torch.where(revealed, blocks.candidates, blocks.tokens))
    blocks.masked.logical_and_(~revealed)
    blocks.steps.add_(blocks.active)
    # everything after the first mask may still change; an end before it settles the block
    before = blocks.masked.cumsum(1) == 0
    settled = ~blocks.masked.any(1) | (before & ends[blocks.kinds[:, None].long(), blocks.tokens]).any(1)
    blocks.active.logical_and_(~settled & ~last[:, 0])


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


def _rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """RMSNorm of the last dimension; `F.rms_norm` takes ten times as long on a CPU (torch 2.13)."""
    length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    normal: Tensor = x * length.square_().div_(len(weight)).add_(eps).rsqrt_() * weight
    return normal


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turns [..., H, K] by tables [..., 1, K / 2], half-split layout (RoFormer, arXiv:2104.09864)."""
    left, right = x.chunk(2, dim=-1)
    return torch.cat([left * cos - right * sin, right * cos + left * sin], dim=-1)


def _sum(parts: Tensor) -> Tensor:
    """Adds up [S, ...] in float32 or wider."""
    exact = parts.to(torch.promote_types(parts.dtype, torch.float32))
    return exact[0] if len(exact) == 1 else exact.sum(0)
