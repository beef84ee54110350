"""What stands between the product of queries, keys and values and attention, in one kernel."""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from coder_kernels.configs import tile
from coder_kernels.gpu.launch import launch, power_of_two
from coder_kernels.tensor_types import AttentionMetadata


@triton.jit
def _heads(parts, bias, at, column, inside, n_rows, stride, PARTS: tl.constexpr, BIASED: tl.constexpr):
    """The sum of the parts of a tile of heads, and its bias."""
    x = tl.zeros(column.shape, tl.float32)
    for part in tl.static_range(PARTS):
        x += tl.load(parts + part * n_rows.to(tl.int64) * stride + at + column, inside, 0.0).to(tl.float32)
    if BIASED:
        x += tl.load(bias + column, inside, 0.0).to(tl.float32)
    return x


@triton.jit(do_not_specialize=["n_rows", "length", "n_heads", "groups", "capacity"])
def rotate_and_write_kernel(
    parts,  # [S, M, (H + 2 G) K]
    bias,  # [(H + 2 G) K]
    q_norm,  # [K]
    k_norm,  # [K]
    cos,  # [M, K / 2] float32
    sin,  # [M, K / 2] float32
    keys,  # [R, G, C, K]
    values,  # [R, G, C, K]
    rows,  # [B] int32
    starts,  # [B] int32
    queries,  # [M, H, K]
    n_rows,
    length,
    n_heads,
    groups,
    capacity,
    eps,
    PARTS: tl.constexpr,
    BIASED: tl.constexpr,
    NORMED: tl.constexpr,
    WIDTH: tl.constexpr,
    HEADS: tl.constexpr,
):
    row = tl.program_id(0)
    sequence = row // length
    place = tl.load(starts + sequence) + row % length
    half: tl.constexpr = WIDTH // 2
    head = tl.program_id(1) * HEADS + tl.arange(0, HEADS)[:, None]
    lane = tl.arange(0, half)[None, :]
    n_all = n_heads + 2 * groups
    inside = (head < n_all) & (lane < half)
    at = row.to(tl.int64) * n_all * WIDTH
    left = _heads(parts, bias, at, head * WIDTH + lane, inside, n_rows, n_all * WIDTH, PARTS, BIASED)
    right = _heads(parts, bias, at, head * WIDTH + half + lane, inside, n_rows, n_all * WIDTH, PARTS, BIASED)
    is_query, is_value = head < n_heads, head >= n_heads + groups
    if NORMED:
        square = tl.sum(left * left, 1, keep_dims=True) + tl.sum(right * right, 1, keep_dims=True)
        inverse = tl.where(is_value, 1.0, tl.rsqrt(square / WIDTH + eps))
        q_left, k_left = tl.load(q_norm + lane).to(tl.float32), tl.load(k_norm + lane).to(tl.float32)
        q_right, k_right = tl.load(q_norm + half + lane).to(tl.float32), tl.load(k_norm + half + lane).to(tl.float32)
        left *= inverse * tl.where(is_value, 1.0, tl.where(is_query, q_left, k_left))
        right *= inverse * tl.where(is_value, 1.0, tl.where(is_query, q_right, k_right))
    c = tl.where(is_value, 1.0, tl.load(cos + row * half + lane))
    s = tl.where(is_value, 0.0, tl.load(sin + row * half + lane))
    turned_left, turned_right = left * c - right * s, right * c + left * s
    dtype = queries.dtype.element_ty
    query = queries + (row.to(tl.int64) * n_heads + head) * WIDTH + lane
    tl.store(query, turned_left.to(dtype), inside & is_query)
    tl.store(query + half, turned_right.to(dtype), inside & is_query)
    cache_row = tl.load(rows + sequence).to(tl.int64)
    key = ((cache_row * groups + head - n_heads) * capacity + place) * WIDTH + lane
    is_key = inside & (head >= n_heads) & (head < n_heads + groups)
    tl.store(keys + key, turned_left.to(dtype), is_key)
    tl.store(keys + key + half, turned_right.to(dtype), is_key)
    value = ((cache_row * groups + head - n_heads - groups) * capacity + place) * WIDTH + lane
    tl.store(values + value, turned_left.to(dtype), inside & is_value)
    tl.store(values + value + half, turned_right.to(dtype), inside & is_value)


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
    """Launches the kernel of `ops.rotate_and_write_`: a program per token and few heads, every byte moved once."""
    n_parts, n_rows, all_heads = parts.shape
    _, groups, capacity, width = keys.shape
    n_heads = all_heads // width - 2 * groups
    length = n_rows // len(spans.rows)
    queries = keys.new_empty((len(spans.rows), length, n_heads, width))
    heads = min(power_of_two(n_heads + 2 * groups), 8)
    nothing = tables[0]
    launch(
        rotate_and_write_kernel,
        (n_rows, triton.cdiv(n_heads + 2 * groups, heads)),
        parts,
        nothing if bias is None else bias,
        *(norms or (nothing, nothing)),
        *tables,
        keys,
        values,
        spans.rows,
        spans.starts,
        queries,
        n_rows,
        length,
        n_heads,
        groups,
        capacity,
        float(eps),
        tile=tile("rotary"),
        PARTS=n_parts,
        BIASED=bias is not None,
        NORMED=norms is not None,
        WIDTH=width,
        HEADS=heads,
    )
    return queries
