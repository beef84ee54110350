"""Products of a few rows with a weight, bound by reading the weight once: linear layers and the gated MLP.

Up to `WIDEST` rows the weight is read once from memory; for more it is read again by programs that come later.

The weight stands on the left of the matrix instruction and the rows on its right: 64 rows of a weight fill the widest
instruction (wgmma) even when there are only 16 rows of activations.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from coder_kernels.configs import Tile, multiprocessors, tile
from coder_kernels.gpu.launch import launch, power_of_two
from coder_kernels.quantise import Quantised
from coder_kernels.tensor_types import Activations, Rows, Weight, matrix_of, rows_of

INTEGERS = ["n_rows", "height"]
WIDEST = 128
"""Rows of a tile at most."""


@triton.jit
def _int4_product(
    x,
    weight,
    w_scale,
    w_offset,
    n,
    m,
    first,
    last,
    WIDTH: tl.constexpr,
    TALL: tl.constexpr,
    WIDE: tl.constexpr,
    DEPTH: tl.constexpr,
):
    """As `product`, a group of the weight's columns per step."""
    acc = tl.zeros([TALL, WIDE], tl.float32)
    half: tl.constexpr = DEPTH // 2
    lane = tl.arange(0, half)
    for at in range(first, last, DEPTH):
        packed = tl.load(weight + n[:, None] * (WIDTH // 2) + at // 2 + lane[None, :])
        # the low halves of the bytes meet the even columns of x, the high ones the odd
        even = tl.load(x + m[None, :] * WIDTH + at + 2 * lane[:, None])
        odd = tl.load(x + m[None, :] * WIDTH + at + 2 * lane[:, None] + 1)
        if x.dtype.element_ty == tl.bfloat16:
            # 0x4300 | n is 128 + n in bfloat16: one instruction instead of a conversion
            low = ((packed & 15).to(tl.int16) | 0x4300).to(tl.bfloat16, bitcast=True)
            high = ((packed >> 4).to(tl.int16) | 0x4300).to(tl.bfloat16, bitcast=True)
            above = 128.0
        else:
            low, high = (packed & 15).to(x.dtype.element_ty), (packed >> 4).to(x.dtype.element_ty)
            above = 0.0
        part = tl.dot(low, even, input_precision="ieee")
        part = tl.dot(high, odd, part, input_precision="ieee")
        of_x = tl.sum(even.to(tl.float32) + odd.to(tl.float32), 0)
        group = n * (WIDTH // DEPTH) + at // DEPTH
        scale, offset = tl.load(w_scale + group).to(tl.float32), tl.load(w_offset + group).to(tl.float32)
        acc += part * scale[:, None] + (offset - above * scale)[:, None] * of_x[None, :]
    return acc


@triton.jit
def product(
    x,  # [M, K]
    x_scale,  # [M] float32
    weight,  # [N, K], in int4 [N, K / 2]
    w_scale,  # [N] float32, in int4 [N, K / GROUP] float16
    w_offset,  # in int4 [N, K / GROUP] float16
    n,  # [TALL] the weight's rows
    m,  # [WIDE] the rows of x
    first,
    last,
    WIDTH: tl.constexpr,
    TALL: tl.constexpr,
    WIDE: tl.constexpr,
    DEPTH: tl.constexpr,
    KIND: tl.constexpr,
):
    """W x^T over the columns first to last, [TALL, WIDE] float32, scales applied; n and m must be inside."""
    if KIND == "int4":
        out = _int4_product(x, weight, w_scale, w_offset, n, m, first, last, WIDTH, TALL, WIDE, DEPTH)
    else:
        acc = tl.zeros([TALL, WIDE], tl.int32 if x.dtype.element_ty == tl.int8 else tl.float32)
        lane = tl.arange(0, DEPTH)
        at_weight = weight + n[:, None] * WIDTH + lane[None, :]
        at_x = x + m[None, :] * WIDTH + lane[:, None]
        for at in range(first, last, DEPTH):
            w = tl.load(at_weight + at)
            rows = tl.load(at_x + at)
            if KIND == "weight_only":
                w = w.to(rows.dtype)
            acc = tl.dot(w, rows, acc, out_dtype=acc.dtype, input_precision="ieee")
        out = acc.to(tl.float32)
        if KIND != "dense":
            out *= tl.load(w_scale + n)[:, None]
        if KIND == "eight":
            out *= tl.load(x_scale + m)[None, :]
    return out


@triton.jit(do_not_specialize=INTEGERS)
def linear_kernel(
    x,
    x_scale,
    weight,
    w_scale,
    w_offset,
    out,  # [S, M, N] float32
    n_rows,
    height,
    WIDTH: tl.constexpr,
    TALL: tl.constexpr,
    WIDE: tl.constexpr,
    DEPTH: tl.constexpr,
    KIND: tl.constexpr,
    SPLITS: tl.constexpr,
):
    n = tl.program_id(0) * TALL + tl.arange(0, TALL)
    m = tl.program_id(2) * WIDE + tl.arange(0, WIDE)
    part = tl.program_id(1)
    steps = WIDTH // DEPTH
    first, last = steps * part // SPLITS * DEPTH, steps * (part + 1) // SPLITS * DEPTH
    # what is outside reads the last row again, and is not stored
    inner_n, inner_m = tl.minimum(n, height - 1), tl.minimum(m, n_rows - 1)
    acc = product(x, x_scale, weight, w_scale, w_offset, inner_n, inner_m, first, last, WIDTH, TALL, WIDE, DEPTH, KIND)
    at = out + (part * n_rows + m)[None, :].to(tl.int64) * height + n[:, None]
    tl.store(at, acc, (n < height)[:, None] & (m < n_rows)[None, :])


@triton.jit(do_not_specialize=INTEGERS)
def swiglu_kernel(
    x,
    x_scale,
    weight,  # [2 F, D], the gate first
    w_scale,
    w_offset,
    out,  # [M, F]
    n_rows,
    height,  # F
    WIDTH: tl.constexpr,
    TALL: tl.constexpr,
    WIDE: tl.constexpr,
    DEPTH: tl.constexpr,
    KIND: tl.constexpr,
):
    half: tl.constexpr = TALL // 2
    line = tl.arange(0, TALL)
    m = tl.program_id(1) * WIDE + tl.arange(0, WIDE)
    inner_m = tl.minimum(m, n_rows - 1)
    # one tile holds the rows of the gate and those of the other factor, so that one loop reads both
    column = tl.minimum(tl.program_id(0) * half + line % half, height - 1)
    n = column + (line // half) * height
    acc = product(x, x_scale, weight, w_scale, w_offset, n, inner_m, 0, WIDTH, WIDTH, TALL, WIDE, DEPTH, KIND)
    gate, up = tl.split(tl.permute(tl.reshape(acc, [2, half, WIDE]), [1, 2, 0]))
    value = gate / (1.0 + tl.exp(-gate)) * up
    columns = tl.program_id(0) * half + tl.arange(0, half)
    at = out + m[None, :].to(tl.int64) * height + columns[:, None]
    tl.store(at, value.to(out.dtype.element_ty), (columns < height)[:, None] & (m < n_rows)[None, :])


def linear(x: Activations, weight: Weight) -> Tensor:
    """Launches the kernel of `ops.linear`: programs over the weight's rows, and over parts of its columns."""
    n_rows, width = rows_of(x).shape
    height = len(matrix_of(weight))
    wide = min(power_of_two(n_rows, 16), WIDEST)
    sizes = tile("product", kind=kind_of(x, weight), wide=wide)
    depth = depth_of(width, sizes, weight)
    parts = splits(height, width // depth, sizes.rows)
    out = rows_of(x).new_empty((parts, n_rows, height), dtype=torch.float32)
    launch(
        linear_kernel,
        (triton.cdiv(height, sizes.rows), parts, triton.cdiv(n_rows, wide)),
        *operands(x, weight),
        out,
        n_rows,
        height,
        tile=sizes,
        WIDTH=width,
        TALL=sizes.rows,
        WIDE=wide,
        DEPTH=depth,
        KIND=kind_of(x, weight),
        SPLITS=parts,
    )
    return out


def swiglu(x: Activations, gate_up: Weight, dtype: torch.dtype) -> Tensor:
    """Launches the kernel of `ops.swiglu`: a program per few columns of the result."""
    n_rows, width = rows_of(x).shape
    height = len(matrix_of(gate_up)) // 2
    wide = min(power_of_two(n_rows, 16), WIDEST)
    sizes = tile("swiglu", kind=kind_of(x, gate_up), wide=wide)
    out = rows_of(x).new_empty((n_rows, height), dtype=dtype)
    launch(
        swiglu_kernel,
        (triton.cdiv(height, sizes.rows // 2), triton.cdiv(n_rows, wide)),
        *operands(x, gate_up),
        out,
        n_rows,
        height,
        tile=sizes,
        WIDTH=width,
        TALL=sizes.rows,
        WIDE=wide,
        DEPTH=depth_of(width, sizes, gate_up),
        KIND=kind_of(x, gate_up),
    )
    return out


def operands(x: Activations, weight: Weight) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Returns x, its scale, the weight, its scale and offset; what is not there is some tensor that is not read."""
    rows, matrix = rows_of(x), matrix_of(weight)
    x_scale = x.scale if isinstance(x, Rows) else rows
    w_scale = weight.scale if isinstance(weight, Quantised) else matrix
    w_offset = weight.offset if isinstance(weight, Quantised) and weight.offset.numel() else w_scale
    return rows, x_scale, matrix, w_scale, w_offset


def kind_of(x: Activations, weight: Weight) -> str:
    """Returns which product it is: `dense`, `eight` bits on both sides, eight in the `weight_only`, or `int4`."""
    if not isinstance(weight, Quantised):
        return "dense"
    if weight.values.dtype == torch.uint8:
        return "int4"
    return "eight" if isinstance(x, Rows) else "weight_only"


def depth_of(width: int, sizes: Tile, weight: Weight) -> int:
    """Returns the columns of a step: the most that divide `width`; in int4 a group."""
    if isinstance(weight, Quantised) and weight.values.dtype == torch.uint8:
        return width // weight.scale.shape[1]
    return next(depth for depth in (sizes.depth, 64, 32, 16) if width % depth == 0)


def splits(height: int, steps: int, tall: int) -> int:
    """Returns into how many parts the columns are cut: enough for two programs per multiprocessor, of 4 steps each."""
    programs = triton.cdiv(height, tall)
    wanted = triton.cdiv(2 * multiprocessors(), programs)
    return max(1, min(int(wanted), steps // 4, 8))
