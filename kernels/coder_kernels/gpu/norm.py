"""Residual plus RMSNorm, and activations in eight bits."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from coder_kernels.configs import tile
from coder_kernels.gpu.common import eight_bits, scale_of
from coder_kernels.gpu.launch import launch, power_of_two
from coder_kernels.quantise import MOST
from coder_kernels.tensor_types import Activations, Rows


@triton.jit(do_not_specialize=["n_rows"])
def add_rms_norm_kernel(
    parts,  # [S, M, D]
    residual,  # [M, D] float32
    weight,  # [D]
    out,  # [M, D]
    scale,  # [M] float32
    total,  # [M, D] float32
    n_rows,
    eps,
    most,
    PARTS: tl.constexpr,
    ADDS: tl.constexpr,
    QUANTISES: tl.constexpr,
    WIDTH: tl.constexpr,
    LANES: tl.constexpr,
):
    row = tl.program_id(0)
    column = tl.arange(0, LANES)
    inside = column < WIDTH
    at = row.to(tl.int64) * WIDTH + column
    x = tl.zeros([LANES], tl.float32)
    if ADDS:
        x += tl.load(residual + at, inside, 0.0)
    # in a fixed order: the sum of a row is the same in every launch
    for part in tl.static_range(PARTS):
        x += tl.load(parts + part * n_rows.to(tl.int64) * WIDTH + at, inside, 0.0).to(tl.float32)
    tl.store(total + at, x, inside)
    inverse = tl.rsqrt(tl.sum(x * x, 0) / WIDTH + eps)
    normal = x * inverse * tl.load(weight + column, inside, 0.0).to(tl.float32)
    if QUANTISES:
        row_scale = scale_of(tl.max(tl.abs(normal), 0), most)
        tl.store(scale + row, row_scale)
        tl.store(out + at, eight_bits(normal / row_scale, most, out.dtype.element_ty), inside)
    else:
        tl.store(out + at, normal.to(out.dtype.element_ty), inside)


@triton.jit
def quantise_rows_kernel(
    x,  # [M, K]
    out,  # [M, K]
    scale,  # [M] float32
    most,
    WIDTH: tl.constexpr,
    LANES: tl.constexpr,
):
    row = tl.program_id(0)
    start = row.to(tl.int64) * WIDTH
    column = tl.arange(0, LANES)
    largest = tl.zeros([LANES], tl.float32)
    for first in range(0, WIDTH, LANES):
        inside = first + column < WIDTH
        largest = tl.maximum(largest, tl.abs(tl.load(x + start + first + column, inside, 0.0).to(tl.float32)))
    row_scale = scale_of(tl.max(largest, 0), most)
    tl.store(scale + row, row_scale)
    for first in range(0, WIDTH, LANES):
        inside = first + column < WIDTH
        value = tl.div_rn(tl.load(x + start + first + column, inside, 0.0).to(tl.float32), row_scale)
        tl.store(out + start + first + column, eight_bits(value, most, out.dtype.element_ty), inside)


def add_rms_norm(
    parts: Tensor, residual: Tensor | None, weight: Tensor, eps: float, activation_dtype: torch.dtype | None = None
) -> tuple[Activations, Tensor]:
    """Launches the kernel of `ops.add_rms_norm`: a program per row, every byte moved once."""
    n_parts, n_rows, width = parts.shape
    total = parts.new_empty((n_rows, width), dtype=torch.float32)
    out = parts.new_empty((n_rows, width), dtype=activation_dtype or weight.dtype)
    scale = parts.new_empty((n_rows, 1) if activation_dtype else 1, dtype=torch.float32)
    launch(
        add_rms_norm_kernel,
        (n_rows,),
        parts,
        total if residual is None else residual,
        weight,
        out,
        scale,
        total,
        n_rows,
        float(eps),
        MOST[activation_dtype] if activation_dtype else 1.0,
        tile=tile("rows"),
        PARTS=n_parts,
        ADDS=residual is not None,
        QUANTISES=activation_dtype is not None,
        WIDTH=width,
        LANES=power_of_two(width),
    )
    return (Rows(out, scale) if activation_dtype else out), total


def quantise_rows(x: Tensor, dtype: torch.dtype) -> Rows:
    """Launches the kernel of `ops.quantise_rows`: a program per row, which reads it twice."""
    n_rows, width = x.shape
    out, scale = torch.empty_like(x, dtype=dtype), x.new_empty((n_rows, 1), dtype=torch.float32)
    launch(
        quantise_rows_kernel,
        (n_rows,),
        x,
        out,
        scale,
        MOST[dtype],
        tile=tile("rows"),
        WIDTH=width,
        LANES=min(power_of_two(width), 4096),
    )
    return Rows(out, scale)
