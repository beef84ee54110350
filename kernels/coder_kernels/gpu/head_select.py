"""The head's product and the likeliest token of each row, without the scores ever being in memory.

Each program has a tile of the vocabulary and leaves three numbers and a token per row; a second kernel joins them, tile
by tile in order, so that the result is the same in every launch.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from coder_kernels.configs import tile
from coder_kernels.gpu.launch import launch, power_of_two
from coder_kernels.gpu.matmul import depth_of, kind_of, operands, product
from coder_kernels.tensor_types import Activations, Selection, Weight, matrix_of, rows_of

STATISTICS = 3
"""Per row and tile: the highest score, the sum of e^(x - highest), that of e^(x - highest) (x - highest)."""


@triton.jit(do_not_specialize=["n_rows", "vocabulary", "n_tiles"])
def head_partial_kernel(
    x,
    x_scale,
    weight,
    w_scale,
    w_offset,
    forbidden,  # [V] bool
    statistics,  # [STATISTICS, M, n_tiles] float32
    tokens,  # [M, n_tiles] int64
    n_rows,
    vocabulary,
    n_tiles,
    FORBIDS: tl.constexpr,
    WIDTH: tl.constexpr,
    TALL: tl.constexpr,
    WIDE: tl.constexpr,
    DEPTH: tl.constexpr,
    KIND: tl.constexpr,
):
    n = tl.program_id(0) * TALL + tl.arange(0, TALL)
    m = tl.arange(0, WIDE)
    inner_n, inner_m = tl.minimum(n, vocabulary - 1), tl.minimum(m, n_rows - 1)
    scores = product(x, x_scale, weight, w_scale, w_offset, inner_n, inner_m, 0, WIDTH, WIDTH, TALL, WIDE, DEPTH, KIND)
    possible = n < vocabulary
    if FORBIDS:
        possible = possible & (tl.load(forbidden + inner_n) == 0)
    scores = tl.where(possible[:, None], scores, float("-inf"))
    highest = tl.max(scores, 0)
    token = tl.min(tl.where(scores == highest[None, :], n[:, None], 2147483647), 0)
    against = tl.where(highest == float("-inf"), 0.0, highest)
    # NaN and +inf make the sum NaN: a broken score is seen in the confidence
    distance = scores - against[None, :]
    e = tl.exp(distance)
    total = tl.sum(e, 0)
    weighted = tl.sum(tl.where(possible[:, None] & (distance > float("-inf")), e * distance, 0.0), 0)
    at = m * n_tiles + tl.program_id(0)
    inside = m < n_rows
    plane = n_rows * n_tiles
    tl.store(statistics + at, highest, inside)
    tl.store(statistics + plane + at, total, inside)
    tl.store(statistics + 2 * plane + at, weighted, inside)
    tl.store(tokens + at, token.to(tl.int64), inside)


@triton.jit(do_not_specialize=["n_rows", "n_tiles"])
def head_combine_kernel(
    statistics,  # [STATISTICS, M, n_tiles] float32
    tokens,  # [M, n_tiles] int64
    token,  # [M] int64
    confidence,  # [M] float32
    entropy,  # [M] float32
    n_rows,
    n_tiles,
    TILES: tl.constexpr,
):
    row = tl.program_id(0)
    plane = n_rows * n_tiles
    lane = tl.arange(0, TILES)
    highest = float("-inf")
    found = tl.zeros([], tl.int64)
    for start in range(0, n_tiles, TILES):
        inside = start + lane < n_tiles
        at = row * n_tiles + start + lane
        first = tl.load(statistics + at, inside, float("-inf"))
        best = tl.max(first, 0)
        # of equal scores the first token
        where = tl.min(tl.where(first == best, lane, TILES), 0)
        here = tl.sum(tl.where(lane == where, tl.load(tokens + at, inside, 0), 0), 0)
        found = tl.where(best > highest, here, found)
        highest = tl.maximum(highest, best)
    total, weighted = 0.0, 0.0
    for start in range(0, n_tiles, TILES):
        inside = start + lane < n_tiles
        at = statistics + row * n_tiles + start + lane
        first = tl.load(at, inside, float("-inf"))
        shift = tl.where(first == float("-inf"), float("-inf"), first - highest)
        shrink = tl.exp(shift)
        sums = tl.load(at + plane, inside, 0.0)
        total += tl.sum(tl.where(inside, sums * shrink, 0.0), 0)
        shifted = tl.load(at + 2 * plane, inside, 0.0) * shrink + tl.where(shrink > 0, sums * shrink * shift, 0.0)
        weighted += tl.sum(tl.where(inside, shifted, 0.0), 0)
    tl.store(token + row, found)
    tl.store(confidence + row, 1.0 / total)
    tl.store(entropy + row, tl.log(total) - weighted / total)


def head_select(hidden: Activations, weight: Weight, forbidden: Tensor | None = None) -> Selection:
    """Launches the kernels of `score_ops.head_select`."""
    rows = rows_of(hidden)
    n_rows, width = rows.shape
    vocabulary = len(matrix_of(weight))
    wide = power_of_two(n_rows, 16)
    sizes = tile("select", kind=kind_of(hidden, weight), wide=wide)
    n_tiles = triton.cdiv(vocabulary, sizes.rows)
    statistics = rows.new_empty((STATISTICS, n_rows, n_tiles), dtype=torch.float32)
    tokens = rows.new_empty((n_rows, n_tiles), dtype=torch.int64)
    launch(
        head_partial_kernel,
        (n_tiles,),
        *operands(hidden, weight),
        statistics if forbidden is None else forbidden,
        statistics,
        tokens,
        n_rows,
        vocabulary,
        n_tiles,
        tile=sizes,
        FORBIDS=forbidden is not None,
        WIDTH=width,
        TALL=sizes.rows,
        WIDE=wide,
        DEPTH=depth_of(width, sizes, weight),
        KIND=kind_of(hidden, weight),
    )
    token = rows.new_empty(n_rows, dtype=torch.int64)
    confidence, entropy = rows.new_empty((2, n_rows), dtype=torch.float32)
    combine = tile("select_combine")
    launch(
        head_combine_kernel,
        (n_rows,),
        statistics,
        tokens,
        token,
        confidence,
        entropy,
        n_rows,
        n_tiles,
        tile=combine,
        TILES=min(power_of_two(n_tiles), combine.columns),
    )
    return Selection(token, confidence, entropy)
