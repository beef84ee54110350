"""The operations of `ops.py` for weights and activations in groups of 32, by machine code made for this processor.

Each is held to `reference.py`. A row's result does not depend on the rows beside it: every row is computed alone, in
the same order. Threads share items, not sums.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from coder_kernels.cpu import processor
from coder_kernels.cpu.layout import GROUP, MANY_ROWS, TALL_ROWS, WIDE_BYTES, group_bytes
from coder_kernels.quantise import PackedGroups, Quantised, one_thread
from coder_kernels.tensor_types import AttentionMetadata, GroupedRows

if TYPE_CHECKING:
    from coder_kernels.cpu.compiled import Machine

MOST_QUERIES = 32
"""Tokens of a pass up to which attention is computed here; torch's own is faster for more of them."""
FIVE_BITS = 16
"""Five bits hold integers from -16 on, and below 16."""
_TILES = 8
"""Tiles that a thread takes at a time: some ten microseconds of work."""
_ALIGNED = 64
_AT_A_TIME = 1 << 20
"""Weights that are packed at a time."""


def is_there() -> bool:
    """Returns whether this processor can do it, and does: see `processor.lanes`."""
    return processor.lanes() > 0


def takes(x: Tensor, keys: Tensor, spans: AttentionMetadata) -> bool:
    """Returns whether rotary positions and attention of a pass can be computed here: one sequence, wide heads.

    Args:
        x: [1, ...], one part of a sum or one sequence; others are not taken.
        keys: the cache.
        spans: where the tokens stand.
    """
    is_ours = x.dtype == torch.float32 and keys.dtype == torch.bfloat16 and not x.is_cuda
    is_ours = is_ours and len(spans.rows) == 1 and len(x) == 1
    return is_ours and is_there() and keys.shape[3] % (2 * processor.lanes()) == 0


def pack(weight: Quantised, lanes: int = 0) -> PackedGroups:
    """Returns a matrix [N, K] in tiles, N a multiple of `lanes`; with five bits where all values have no more.

    Args:
        weight: in the precision `grouped`.
        lanes: rows of a tile, 0 for as many as this processor takes.

    Raises:
        ValueError: when N is none, or K no multiple of 32, or this processor takes none.
    """
    lanes = lanes or processor.lanes()
    if not lanes:
        raise ValueError(
            "weight must not be in groups: this processor has no products for it, int8 by rows it may have"
        )
    height, width = weight.values.shape
    if height % lanes or width % GROUP:
        raise ValueError(f"weight must have whole tiles of {lanes} rows and {GROUP} columns, got {[height, width]}")
    low, high = torch.aminmax(weight.values)
    bits = 5 if low >= -FIVE_BITS and high < FIVE_BITS else 8
    n_tiles, n_groups = height // lanes, width // GROUP
    # room of its own that begins where a line of the cache does: a vector would else be read from two
    room = torch.empty(n_tiles * n_groups * group_bytes(bits, lanes) + _ALIGNED, dtype=torch.uint8)
    start = -room.data_ptr() % _ALIGNED
    values = room[start : start + len(room) - _ALIGNED].view(n_tiles, n_groups, -1)
    # four columns move as one number
    tiles = weight.values.view(torch.int32).view(n_tiles, lanes, n_groups, -1)
    step = max(1, _AT_A_TIME // (lanes * width))
    with one_thread():
        for first in range(0, n_tiles, step):
            part = tiles[first : first + step].permute(0, 2, 3, 1).contiguous().view(torch.uint8)
            values[first : first + step] = (part ^ 128).flatten(2) if bits == 8 else _five(part)
    scale = weight.scale.half().view(n_tiles, lanes, n_groups).transpose(1, 2).contiguous()
    return PackedGroups(values, scale)


def _five(part: Tensor) -> Tensor:
    """The low halves of the levels of two steps in one byte, and the fifth bits of eight levels in another."""
    levels = part + FIVE_BITS
    low = levels[:, :, ::2] & 15 | levels[:, :, 1::2] << 4
    # a product with 2^7 + 2^14 + ... + 2^56 brings the lowest bit of byte i to bit i of the highest byte
    bits = (levels >> 4).view(torch.int64) * 0x0102040810204080 >> 56
    return torch.cat([low.flatten(2), bits.to(torch.uint8).flatten(2)], dim=2)


def unpack(weight: PackedGroups, rows: Tensor) -> Quantised:
    """Returns rows [N] int64 of the matrix as it was before `pack`, a copy."""
    lanes, n_groups = weight.scale.shape[2], weight.scale.shape[1]
    step = max(1, _AT_A_TIME // (lanes * n_groups * GROUP))
    with one_thread():
        parts = [_rows_of(weight, rows[start : start + step]) for start in range(0, len(rows), step)]
    values, scales = (torch.cat(part) for part in zip(*parts, strict=True))
    return Quantised(values, scales, scales.new_empty(0))


def _rows_of(weight: PackedGroups, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Values and scales of some rows."""
    lanes = weight.scale.shape[2]
    tiles, places = rows // lanes, (torch.arange(len(rows)), rows % lanes)
    values, n_groups = weight.values[tiles], weight.scale.shape[1]
    if weight.bits == 8:
        levels = values ^ 128
    else:
        half = 2 * lanes * (GROUP // 4)
        pairs = values[..., :half].view(len(rows), n_groups, -1, 1, 4 * lanes)
        low = torch.cat([pairs & 15, pairs >> 4], dim=3).flatten(2)
        fifth = (values[..., half:, None] >> torch.arange(8, dtype=torch.uint8) & 1).flatten(2)
        levels = (low | fifth << 4) - FIVE_BITS
    columns = levels.view(torch.int8).view(len(rows), n_groups, GROUP // 4, lanes, 4)[places[0], :, :, places[1]]
    return columns.reshape(len(rows), -1), weight.scale[tiles][places[0], :, places[1]][:, :, None]


def linear(x: GroupedRows, weight: PackedGroups) -> Tensor:
    """Returns x W^T as [M, N] float32.

    Sums of a group are exact, those of groups in float32. With AMX, rows of a long pass are multiplied in
    bfloat16.
    """
    n_rows, (n_tiles, n_groups, lanes) = len(x.values), weight.scale.shape
    machine, height = _machine(lanes), n_tiles * lanes
    out, chunk = torch.empty(n_rows, height), max(1, min(_TILES, n_tiles // 4))
    is_tall = n_rows >= MANY_ROWS and f"tall{weight.bits}" in machine.jobs
    tall = n_rows - n_rows % TALL_ROWS if is_tall else 0
    if tall:
        wide = torch.empty(tall, n_groups * GROUP, dtype=torch.bfloat16)
        _run(machine, "widen", (x.values, x.scale, wide), tall * n_groups, 256)
        room = torch.empty(machine.pool.threads, 2, n_groups, WIDE_BYTES, dtype=torch.uint8)
        arguments = tall, n_groups, height, *weight, wide, room, out
        _run(machine, f"tall{weight.bits}", arguments, n_tiles, chunk)
    if tall < n_rows:
        parts = [part[tall:] for part in (*x, out)]
        _run(machine, f"product{weight.bits}", (n_rows - tall, n_groups, height, *weight, *parts), n_tiles, chunk)
    return out


def quantise_rows(x: Tensor) -> GroupedRows:
    """Returns x [M, K] in int8, a scale per group.

    Raises:
        ValueError: when K is no multiple of 32.
    """
    rows = _empty(len(x), x.shape[1])
    _run_groups("round", (x.float().contiguous(),), rows)
    return rows


def swiglu_rows(x: GroupedRows, gate_up: PackedGroups) -> GroupedRows:
    """Returns `reference.swiglu` in int8, for x [M, D] and gate_up [2 F, D], F a multiple of 32: [M, F]."""
    whole = linear(x, gate_up)
    rows = _empty(len(whole), whole.shape[1] // 2)
    _run_groups("gate", (whole, rows.scale.shape[1]), rows)
    return rows


def add_rms_norm(x: Tensor, residual: Tensor | None, weight: Tensor, eps: float) -> tuple[GroupedRows, Tensor]:
    """Returns the normalised sum of x [M, D] and its residual, rounded, and the sum itself, all float32.

    Raises:
        ValueError: when D is no multiple of 32.
    """
    n_rows, width = x.shape
    x, weight, before = x.float(), weight.float(), None if residual is None else residual.float()
    total, out = torch.empty_like(x), _empty(n_rows, width)
    arguments = width // GROUP, x, 0 if before is None else before, weight, total, eps, *out
    _run(_machine(), "norm", arguments, n_rows, 8)
    return out, total


def rotate_and_write_(
    x: Tensor,
    bias: Tensor | None,
    norms: tuple[Tensor, Tensor] | None,
    eps: float,
    tables: tuple[Tensor, Tensor],
    keys: Tensor,
    values: Tensor,
    spans: AttentionMetadata,
) -> Tensor:
    """Returns float32 queries [1, T, H, K]: see `ops.rotate_and_write_`; for one sequence and a cache in bfloat16.

    Changes x [T, (H + 2 G) K] float32.
    """
    row, start = int(spans.rows), int(spans.starts)
    _, n_groups, _, width = keys.shape
    n_tokens, n_heads = len(x), x.shape[1] // width - 2 * n_groups
    _inside(row, start, n_tokens, keys)
    queries = torch.empty(1, n_tokens, n_heads, width)
    places = (part.data_ptr() + 2 * (row * part.stride(0) + start * part.stride(2)) for part in (keys, values))
    others: list[Tensor | float] = [
        0 if part is None else part.float() for part in (bias, *(norms or (None, None)), *tables)
    ]
    arguments: list[Tensor | float] = [
        n_heads, n_groups, width, x, *others[:3], eps, *others[3:], queries, *places,
        2 * keys.stride(2), 2 * keys.stride(1),
    ]  # fmt: skip
    items = n_tokens * (n_heads + 2 * n_groups)
    _run(_machine(), "turn", arguments, items, 128)
    return queries


def block_attention(q: Tensor, keys: Tensor, values: Tensor, spans: AttentionMetadata, block_length: int) -> Tensor:
    """Returns [T, H K] float32, the attention of one sequence: see `ops.block_attention`.

    Args:
        q: [1, T, H, K] float32, T at most `MOST_QUERIES`.
        keys: [R, G, C, K] bfloat16.
        values: as `keys`.
        spans: of the sequence.
        block_length: the mask.
    """
    _, n_tokens, n_heads, width = q.shape
    row, start, count = int(spans.rows), int(spans.starts), int(spans.counts)
    _inside(row, start, count, keys)
    # here, not above: see `_machine`
    from coder_kernels.cpu import compiled

    n_groups, machine = keys.shape[1], compiled.machine()
    out = torch.empty(n_tokens, n_heads * width)
    shared = n_heads // n_groups
    room = start + count + machine.lanes
    scores = torch.empty(machine.pool.threads, shared, room)
    job, _ = compiled.attention(width, shared)
    places = (part.data_ptr() + 2 * row * part.stride(0) for part in (keys, values))
    arguments: list[Tensor | float] = [
        n_groups, start, count, block_length, q, *places, 2 * keys.stride(2), 2 * keys.stride(1), scores, room, out,
    ]  # fmt: skip
    machine.pool.run(job, _packed(arguments), n_tokens * n_groups, 1)
    return out


def _machine(lanes: int = 0) -> Machine:
    # not above: where there is no llvmlite, whoever multiplies otherwise must not need it
    from coder_kernels.cpu import compiled

    return compiled.machine(lanes)


def _inside(row: int, start: int, count: int, cache: Tensor) -> None:
    """Checks that tokens lie in the cache: code that writes what it is told would write beside it."""
    if not (0 <= row < cache.shape[0] and 0 <= start <= start + count <= cache.shape[2]):
        found = f"{start} to {start + count} of row {row}"
        raise ValueError(f"tokens must be in a cache of {cache.shape[0]} rows of {cache.shape[2]}, got {found}")


def _empty(n_rows: int, width: int) -> GroupedRows:
    if width % GROUP:
        raise ValueError(f"rows must be whole groups of {GROUP} numbers, got {width}")
    n_groups = width // GROUP
    return GroupedRows(
        torch.empty(n_rows, width, dtype=torch.int8),
        torch.empty(n_rows, n_groups),
        torch.empty(n_rows, n_groups, dtype=torch.int32),
    )


def _run_groups(job: str, arguments: tuple[Tensor | int, ...], rows: GroupedRows) -> None:
    _run(_machine(), job, (*arguments, *rows), rows.scale.numel(), 256)


def _run(machine: Machine, job: str, arguments: Iterable[Tensor | float], items: int, chunk: int) -> None:
    machine.pool.run(machine.jobs[job], _packed(arguments), items, chunk)


def _packed(arguments: Iterable[Tensor | float]) -> list[int]:
    """Addresses of tensors, integers, and the bits of floats."""
    return [
        value.data_ptr() if isinstance(value, Tensor) else value if isinstance(value, int) else _bits(value)
        for value in arguments
    ]


def _bits(value: float) -> int:
    return int.from_bytes(struct.pack("<f", value), "little")
