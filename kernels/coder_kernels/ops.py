"""The operations of a pass: checks at the border, and the one place where an implementation is chosen.

On a GPU a few rows go to the Triton kernels of `gpu/`: so few are bound by reading the weights. How many they are was
measured. On a CPU int8 goes to `cpu_int8.py`, and what is in groups to `cpu/grouped.py`. All else goes to
`reference.py`, to torch's own products and attention.
All is checked before anything is launched: a kernel reads what its pointers and strides say.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor

from coder_kernels import cpu_int8, dispatch, reference
from coder_kernels.checks import FLOATS, check_cache, check_pair, checked
from coder_kernels.cpu import grouped
from coder_kernels.quantise import Packed, PackedGroups
from coder_kernels.row_limits import FEW_DENSE_ROWS, MOST_QUERIES, few_rows
from coder_kernels.tensor_types import (
    ActivationDtype,
    Activations,
    AttentionMetadata,
    GroupedRows,
    Rows,
    Weight,
    height_of,
    rows_of,
)

WIDTHS = (16, 32, 64, 128, 256)
"""Widths of a head that a matrix instruction takes."""


def add_rms_norm(
    parts: Tensor, residual: Tensor | None, weight: Tensor, eps: float, activation_dtype: ActivationDtype | None = None
) -> tuple[Activations, Tensor]:
    """Adds partial sums to the residual stream, and normalises it for what comes next (RMSNorm, arXiv:1910.07467).

    Args:
        parts: [S, M, D] float, of a `linear`.
        residual: [M, D] float32; None where the stream begins.
        weight: [D] float.
        eps: added to the mean square.
        activation_dtype: int8, float8_e4m3fn or `grouped`, to have the normalised rows in eight bits.

    Returns:
        The normalised sum [M, D], in the dtype of `weight` or eight bits, and the sum itself, float32 or wider.
        Moves (S + 2) M D floats of four bytes and M D of the result's.

    Raises:
        ValueError: when a shape, dtype, device or stride does not fit; names the tensor.
    """
    width = checked(parts, "parts", (None, None, None), FLOATS).shape[2]
    checked(weight, "weight", (width,), FLOATS, parts.device)
    if residual is not None:
        checked(residual, "residual", (parts.shape[1], width), (torch.float32, torch.float64), parts.device)
    if gpu := dispatch.gpu_kernels(parts):
        out: tuple[Activations, Tensor] = gpu.add_rms_norm(parts, residual, weight, eps, activation_dtype)
        return out
    if activation_dtype == "grouped":
        return grouped.add_rms_norm(parts[0] if len(parts) == 1 else parts.sum(0), residual, weight, eps)
    normal, total = reference.add_rms_norm(parts, residual, weight, eps)
    return (quantise_rows(normal, activation_dtype) if activation_dtype else normal), total


def quantise_rows(x: Tensor, dtype: ActivationDtype) -> Rows | GroupedRows:
    """Returns activations [M, K] in eight bits, each row or group by its absolute maximum: no row depends on another.

    Args:
        x: [M, K] float.
        dtype: int8 or float8_e4m3fn, or `grouped` on a CPU.

    Raises:
        ValueError: when a shape, dtype or stride does not fit; names the tensor.
    """
    checked(x, "x", (None, None), FLOATS)
    if dtype == "grouped":
        return grouped.quantise_rows(x)
    if dtype not in (torch.int8, torch.float8_e4m3fn):
        raise ValueError(f"dtype must be int8, float8_e4m3fn or grouped, got {dtype}")
    rows: Rows = (dispatch.gpu_kernels(x) or (cpu_int8 if dtype == torch.int8 else reference)).quantise_rows(x, dtype)
    return rows


def linear(x: Activations, weight: Weight) -> Tensor:
    """Returns x W^T in parts that are still to be added up, in the order in which they stand.

    Args:
        x: [M, K] float, or in eight bits.
        weight: [N, K] of the dtype of `x`; or in few bits: of the same eight bits as `x`, or int8 or int4 for float x.

    Returns:
        [S, M, N] float32 or the dtype of `x`. Reads the weight once for up to `FEW_ROWS` rows, and x per program.

    Raises:
        ValueError: when a shape, dtype, device or stride does not fit; names the tensor.
    """
    check_pair(x, weight)
    most = FEW_DENSE_ROWS if isinstance(weight, Tensor) else few_rows(x)
    parts: Tensor = (dispatch.gpu_kernels(rows_of(x), len(rows_of(x)), most) or reference).linear(x, weight)
    return parts


def swiglu(
    x: Activations, gate_up: Weight, dtype: torch.dtype, activation_dtype: ActivationDtype | None = None
) -> Activations:
    """Returns silu(x G^T) * (x U^T), the inner half of the gated MLP (SwiGLU, arXiv:2002.05202).

    Args:
        x: [M, D] float, or in eight bits.
        gate_up: [2 F, D], the rows of G, then those of U; as in `linear`.
        dtype: of the result, where it is not to have eight bits.
        activation_dtype: int8, float8_e4m3fn or `grouped`, to have it in these.

    Returns:
        [M, F]. Reads the weight once for up to `FEW_ROWS` rows; writes M F.

    Raises:
        ValueError: when a shape, dtype, device or stride does not fit; names the tensor.
    """
    check_pair(x, gate_up)
    if height_of(gate_up) % 2:
        raise ValueError(f"gate_up must have an even number of rows, got {height_of(gate_up)}")
    if isinstance(gate_up, PackedGroups) and activation_dtype:
        return grouped.swiglu_rows(cast(GroupedRows, x), gate_up)
    if isinstance(gate_up, Packed) and isinstance(x, Rows) and activation_dtype:
        return cpu_int8.swiglu_rows(x, gate_up)
    gpu = dispatch.gpu_kernels(rows_of(x), len(rows_of(x)), few_rows(x))
    inner: Tensor = (gpu or reference).swiglu(x, gate_up, dtype)
    return quantise_rows(inner, activation_dtype) if activation_dtype else inner


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
    """Turns queries and keys by their positions, writes keys and values into the cache, and returns the queries.

    Adds up the parts, adds the bias, and norms each head of queries and keys (QK-norm) where these are given.

    Args:
        parts: [S, M, (H + 2 G) K] float, queries, keys and values of the M = B T tokens side by side.
        bias: [(H + 2 G) K] float, or None.
        norms: two [K] float, of queries and of keys, or None.
        eps: of the norms.
        tables: cosines and sines [M, K / 2] float32 of each token's position, which need not be its place in the cache
            (rotary positions, arXiv:2104.09864, half-split layout).
        keys: [R, G, C, K] float; token t of sequence b is written to row `spans.rows[b]` at `spans.starts[b]` + t, the
            padding too: the row must have room for it.
        values: as `keys`.
        spans: where the tokens stand.

    Returns:
        Queries [B, T, H, K] in the dtype of the cache. Moves S M (H + 2 G) K numbers and writes as many once.

    Raises:
        ValueError: when a shape, dtype, device or stride does not fit; names the tensor.
    """
    check_cache(keys, values, spans)
    width = keys.shape[3]
    n_rows, all_heads = checked(parts, "parts", (None, None, None), FLOATS, keys.device).shape[1:]
    if all_heads % width or all_heads // width <= 2 * keys.shape[1]:
        raise ValueError(f"parts must be [S, M, (H + {2 * keys.shape[1]}) * {width}], got shape {tuple(parts.shape)}")
    if n_rows % len(spans.rows):
        raise ValueError(f"parts must have the same tokens for each of {len(spans.rows)} sequences, got {n_rows} rows")
    if bias is not None:
        checked(bias, "bias", (all_heads,), FLOATS, keys.device)
    for norm in norms or ():
        checked(norm, "norms", (width,), FLOATS, keys.device)
    for table in tables:
        checked(table, "tables", (n_rows, width // 2), (torch.float32, torch.float64), keys.device)
    if len(parts) == 1 and grouped.takes(parts, keys):
        return grouped.rotate_and_write_(parts[0], bias, norms, eps, tables, keys, values, spans)
    queries: Tensor = (dispatch.gpu_kernels(parts) or reference).rotate_and_write_(
        parts, bias, norms, eps, tables, keys, values, spans
    )
    return queries


def block_attention(
    q: Tensor,
    keys: Tensor,
    values: Tensor,
    spans: AttentionMetadata,
    block_length: int = 0,
    activation_dtype: ActivationDtype | None = None,
) -> Activations:
    """Returns the attention of a pass over the cache, whose new keys and values are written already.

    Args:
        q: [B, T, H, K] float; the queries of token t of sequence b stand at `spans.starts[b]` + t.
        keys: [R, G, C, K] of the same dtype, H a multiple of G.
        values: as `keys`.
        spans: where the tokens stand; keys from `starts + counts` on are seen by nobody.
        block_length: 0: every token sees all keys, those of the new tokens in both directions (denoise); 1: no token
            sees a later one (commit, verify); L: a token sees its own block of L, counted from the start of the row,
            and all before.
        activation_dtype: int8, float8_e4m3fn or `grouped`, to have the result in eight bits.

    Returns:
        [B T, H K] in the dtype of q or eight bits. Reads the cache of each row once per tile of queries.

    Raises:
        ValueError: when a shape, dtype, device or stride does not fit; names the tensor.
    """
    check_cache(keys, values, spans)
    checked(q, "q", (len(spans.rows), None, None, keys.shape[3]), (keys.dtype, torch.float32), keys.device)
    if q.shape[2] % keys.shape[1]:
        raise ValueError(f"q must have a multiple of {keys.shape[1]} heads, got {q.shape[2]}")
    if block_length < 0:
        raise ValueError(f"block_length must not be negative, got {block_length}")
    if gpu := dispatch.gpu_kernels(q, q.shape[1], MOST_QUERIES):
        if keys.shape[3] not in WIDTHS:
            raise ValueError(f"keys must have heads of width {WIDTHS} on a GPU, got {keys.shape[3]}")
        out: Activations = gpu.block_attention(q, keys, values, spans, block_length, activation_dtype)
        return out
    if q.shape[1] <= grouped.MOST_QUERIES and grouped.takes(q, keys):
        plain = grouped.block_attention(q, keys, values, spans, block_length)
    else:
        plain = reference.block_attention(q.to(keys.dtype), keys, values, spans, block_length)
    return quantise_rows(plain, activation_dtype) if activation_dtype else plain
