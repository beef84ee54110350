"""Attention of a few new tokens over a long cache, the cache split among programs (flash decoding).

The cache is cut at fixed places, every `CHUNK` keys from its start: what a row of queries sums up, and in which order,
depends neither on the batch nor on how long the cache could become.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from coder_kernels.configs import tile
from coder_kernels.gpu.common import eight_bits, scale_of
from coder_kernels.gpu.launch import launch, power_of_two
from coder_kernels.quantise import MOST
from coder_kernels.tensor_types import Activations, AttentionMetadata, Rows


@triton.jit(do_not_specialize=["length", "n_heads", "groups", "capacity"])
def block_attention_kernel(
    queries,  # [B, T, H, K]
    keys,  # [R, G, C, K]
    values,  # [R, G, C, K]
    rows,  # [B] int32
    starts,  # [B] int32
    counts,  # [B] int32
    sums,  # [n_chunks, B, T, H, K] float32
    weights,  # [n_chunks, B, T, H] float32, log2 of the sum of the exponentials
    length,
    n_heads,
    groups,
    capacity,
    scale,
    BLOCKS: tl.constexpr,
    WIDTH: tl.constexpr,
    QUERIES: tl.constexpr,
    KEYS: tl.constexpr,
    CHUNK: tl.constexpr,
):
    sequence, group = tl.program_id(0) // groups, tl.program_id(0) % groups
    chunk = tl.program_id(2)
    start = tl.load(starts + sequence)
    end = start + tl.load(counts + sequence)
    first, last = chunk * CHUNK, tl.minimum(end, chunk * CHUNK + CHUNK)
    if first < end:
        shared = n_heads // groups
        # a tile's rows are the queries of a group's heads, token by token
        member = tl.program_id(1) * QUERIES + tl.arange(0, QUERIES)
        token, head = member // shared, group * shared + member % shared
        real = token < length
        lane = tl.arange(0, WIDTH)
        row = (sequence.to(tl.int64) * length + token) * n_heads + head
        q = tl.load(queries + row[:, None] * WIDTH + lane[None, :], real[:, None], 0.0)
        place = start + token
        if BLOCKS > 0:
            limit = tl.minimum((place // BLOCKS + 1) * BLOCKS, end)
        else:
            limit = tl.zeros([QUERIES], tl.int32) + end
        base = (tl.load(rows + sequence).to(tl.int64) * groups + group) * capacity * WIDTH
        # one row of the cache has fewer than 2^31 numbers: offsets in it need 32 bits, and half the registers
        keys += base
        values += base
        most = tl.full([QUERIES], float("-inf"), tl.float32)
        total = tl.zeros([QUERIES], tl.float32)
        acc = tl.zeros([QUERIES, WIDTH], tl.float32)
        for at in range(first, last, KEYS):
            key = at + tl.arange(0, KEYS)
            there = key < last
            k = tl.load(keys + key[None, :] * WIDTH + lane[:, None], there[None, :], 0.0)
            v = tl.load(values + key[:, None] * WIDTH + lane[None, :], there[:, None], 0.0)
            scores = tl.dot(q, k, input_precision="ieee") * scale
            seen = there[None, :] & (key[None, :] < limit[:, None])
            scores = tl.where(seen, scores, float("-inf"))
            higher = tl.maximum(most, tl.max(scores, 1))
            # a row that sees nothing yet would be inf - inf
            against = tl.where(higher == float("-inf"), 0.0, higher)
            p = tl.exp2(scores - against[:, None])
            shrink = tl.exp2(most - against)
            total = total * shrink + tl.sum(p, 1)
            acc = tl.dot(p.to(v.dtype), v, acc * shrink[:, None], input_precision="ieee")
            most = higher
        some = total > 0
        acc = acc / tl.where(some, total, 1.0)[:, None]
        tokens = (chunk.to(tl.int64) * tl.num_programs(0) // groups) * length * n_heads + row
        tl.store(sums + tokens[:, None] * WIDTH + lane[None, :], acc, real[:, None])
        tl.store(weights + tokens, tl.where(some, most + tl.log2(tl.where(some, total, 1.0)), float("-inf")), real)


@triton.jit(do_not_specialize=["length", "n_heads"])
def combine_kernel(
    sums,  # [n_chunks, B, T, H, K] float32
    weights,  # [n_chunks, B, T, H] float32
    starts,  # [B] int32
    counts,  # [B] int32
    out,  # [M, H, K]
    scale,  # [M] float32
    length,
    n_heads,
    most,
    QUANTISES: tl.constexpr,
    HEADS: tl.constexpr,
    WIDTH: tl.constexpr,
    CHUNK: tl.constexpr,
    CHUNKS: tl.constexpr,
):
    row = tl.program_id(0)
    sequence = row // length
    count = tl.load(counts + sequence)
    end = tl.where(count > 0, tl.load(starts + sequence) + count, 0)
    head = tl.arange(0, HEADS)
    inside = head < n_heads
    lane = tl.arange(0, WIDTH)
    n_chunks = (end + CHUNK - 1) // CHUNK
    chunk = tl.arange(0, CHUNKS)[:, None]
    place = (chunk * tl.num_programs(0) + row).to(tl.int64) * n_heads + head[None, :]
    highest = tl.max(tl.load(weights + place, (chunk < n_chunks) & inside[None, :], float("-inf")), 0)
    against = tl.where(highest == float("-inf"), 0.0, highest)
    total = tl.zeros([HEADS], tl.float32)
    acc = tl.zeros([HEADS, WIDTH], tl.float32)
    # the highest is known before, so that no load waits for another; the order of the sum is that of the chunks
    for one in tl.range(0, n_chunks, loop_unroll_factor=4):
        at = (one * tl.num_programs(0) + row).to(tl.int64) * n_heads + head
        share = tl.exp2(tl.load(weights + at, inside, float("-inf")) - against)
        part = tl.load(sums + at[:, None] * WIDTH + lane[None, :], inside[:, None], 0.0)
        acc += part * share[:, None]
        total += share
    acc = acc / tl.where(total > 0, total, 1.0)[:, None]
    at_out = (row.to(tl.int64) * n_heads + head[:, None]) * WIDTH + lane[None, :]
    if QUANTISES:
        row_scale = scale_of(tl.max(tl.max(tl.abs(acc), 1), 0), most)
        tl.store(scale + row, row_scale)
        tl.store(out + at_out, eight_bits(acc / row_scale, most, out.dtype.element_ty), inside[:, None])
    else:
        tl.store(out + at_out, acc.to(out.dtype.element_ty), inside[:, None])


def block_attention(
    q: Tensor,
    keys: Tensor,
    values: Tensor,
    spans: AttentionMetadata,
    block_length: int,
    activation_dtype: torch.dtype | None = None,
) -> Activations:
    """Launches the kernels of `ops.block_attention`.

    A program per group of heads, tile of queries and chunk of the cache; then one per token that adds the chunks up.
    """
    batch, length, n_heads, width = q.shape
    groups, capacity = keys.shape[1:3]
    sizes = tile("attention", width=width)
    n_chunks = triton.cdiv(capacity, sizes.chunk)
    n_queries = min(power_of_two(length * n_heads // groups, 16), sizes.rows)
    sums = q.new_empty((n_chunks, batch, length, n_heads, width), dtype=torch.float32)
    weights = sums.new_empty(sums.shape[:-1])
    launch(
        block_attention_kernel,
        (batch * groups, triton.cdiv(length * n_heads // groups, n_queries), n_chunks),
        q,
        keys,
        values,
        *spans,
        sums,
        weights,
        length,
        n_heads,
        groups,
        capacity,
        # scores in powers of two: the processor has no other exponential
        width**-0.5 * 1.4426950408889634,
        tile=sizes,
        BLOCKS=block_length,
        WIDTH=width,
        QUERIES=n_queries,
        KEYS=sizes.columns,
        CHUNK=sizes.chunk,
    )
    out = q.new_empty((batch * length, n_heads * width), dtype=activation_dtype or q.dtype)
    scale = sums.new_empty((batch * length, 1) if activation_dtype else 1)
    launch(
        combine_kernel,
        (batch * length,),
        sums,
        weights,
        spans.starts,
        spans.counts,
        out,
        scale,
        length,
        n_heads,
        MOST[activation_dtype] if activation_dtype else 1.0,
        tile=tile("combine"),
        QUANTISES=activation_dtype is not None,
        HEADS=power_of_two(n_heads),
        WIDTH=width,
        CHUNK=sizes.chunk,
        CHUNKS=power_of_two(n_chunks),
    )
    return Rows(out, scale) if activation_dtype else out
