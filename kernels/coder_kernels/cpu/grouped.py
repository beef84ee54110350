"""The operations of `ops.py` for weights and activations in groups of 32, by machine code made for this processor.

Each is held to `reference.py`. A row's result does not depend on the rows beside it: every row is computed alone, in
the same order. Threads share items, not sums.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from coder_kernels.cpu import jobs, processor
from coder_kernels.cpu.chain import Chain
from coder_kernels.cpu.layout import GROUP, MANY_ROWS, TALL_ROWS, group_bytes
from coder_kernels.quantise import PackedGroups, Quantised, one_thread
from coder_kernels.tensor_types import AttentionMetadata, GroupedRows

if TYPE_CHECKING:
    from coder_kernels.cpu.compiled import Machine

MOST_QUERIES = 32
"""Tokens of a pass up to which attention is computed here; torch's own is faster for more of them."""
FIVE_BITS = 16
"""Five bits hold integers from -16 on, and below 16; four hold those from 0 on."""
_ALIGNED = 64
_AT_A_TIME = 1 << 20
"""Weights that are packed at a time."""


def is_there() -> bool:
    """Returns whether this processor can do it, and does: see `processor.lanes`."""
    return processor.lanes() > 0


def takes(x: Tensor, keys: Tensor) -> bool:
    """Returns whether rotary positions and attention of a pass can be computed here: wide heads, a cache in bfloat16.

    Args:
        x: what the pass begins with.
        keys: the cache.
    """
    is_ours = x.dtype == torch.float32 and keys.dtype == torch.bfloat16 and not x.is_cuda
    return is_ours and is_there() and keys.shape[3] % (2 * processor.lanes()) == 0


def pack(weight: Quantised, lanes: int = 0) -> PackedGroups:
    """Returns a matrix [N, K] in tiles, N a multiple of `lanes`; with five bits where all values have no more.

    With four where it has offsets.

    Args:
        weight: in the precision `grouped`.
        lanes: rows of a tile, 0 for as many as this processor takes.

    Raises:
        ValueError: when N is none, or K no multiple of 32, or this processor takes none, or values beside offsets are
            not from 0 to 15.
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
    if weight.offset.numel() and not 0 <= low <= high < FIVE_BITS:
        raise ValueError(f"weight must have values from 0 to 15 beside offsets, got {int(low)} to {int(high)}")
    bits = 4 if weight.offset.numel() else 5 if low >= -FIVE_BITS and high < FIVE_BITS else 8
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
            values[first : first + step] = (part ^ 128).flatten(2) if bits == 8 else _short(part, bits)
    scale, offset = (
        part.half().view(n_tiles, lanes, n_groups).transpose(1, 2).contiguous() if part.numel() else part.half()
        for part in weight[1:]
    )
    return PackedGroups(values, scale, offset)


def _short(part: Tensor, bits: int) -> Tensor:
    """The low halves of the levels of two steps in one byte, and the fifth bits of eight levels in another."""
    levels = part if bits == 4 else part + FIVE_BITS
    low = levels[:, :, ::2] & 15 | levels[:, :, 1::2] << 4
    if bits == 4:
        return low.flatten(2)
    # a product with 2^7 + 2^14 + ... + 2^56 brings the lowest bit of byte i to bit i of the highest byte
    fifth = (levels >> 4).view(torch.int64) * 0x0102040810204080 >> 56
    return torch.cat([low.flatten(2), fifth.to(torch.uint8).flatten(2)], dim=2)


def unpack(weight: PackedGroups, rows: Tensor) -> Quantised:
    """Returns rows [N] int64 of the matrix as it was before `pack`, a copy."""
    lanes, n_groups = weight.scale.shape[2], weight.scale.shape[1]
    step = max(1, _AT_A_TIME // (lanes * n_groups * GROUP))
    with one_thread():
        parts = [_rows_of(weight, rows[start : start + step]) for start in range(0, len(rows), step)]
    return Quantised(*(torch.cat(part) for part in zip(*parts, strict=True)))


def _rows_of(weight: PackedGroups, rows: Tensor) -> Quantised:
    """Some rows."""
    lanes = weight.scale.shape[2]
    tiles, places, n_groups = rows // lanes, rows % lanes, weight.scale.shape[1]
    scale, offset = (
        part[tiles, :, places][:, :, None] if part.numel() else part for part in (weight.scale, weight.offset)
    )
    if weight.bits == 8:
        # four columns are one number: no more of a tile is read than is wanted
        fours = weight.values.view(torch.int32).view(-1, n_groups, GROUP // 4, lanes)[tiles, :, :, places]
        return Quantised((fours.view(torch.uint8) ^ 128).view(torch.int8).view(len(rows), -1), scale, offset)
    values, half = weight.values[tiles], group_bytes(4, lanes)
    pairs = values[..., :half].view(len(rows), n_groups, -1, 1, 4 * lanes)
    levels = torch.cat([pairs & 15, pairs >> 4], dim=3).flatten(2)
    if weight.bits == 5:
        fifth = (values[..., half:, None] >> torch.arange(8, dtype=torch.uint8) & 1).flatten(2)
        levels = (levels | fifth << 4) - FIVE_BITS
    of_tiles = levels.view(torch.int8).view(len(rows), n_groups, GROUP // 4, lanes, 4)
    columns = of_tiles[torch.arange(len(rows)), :, :, places]
    return Quantised(columns.reshape(len(rows), -1), scale, offset)


def linear(x: GroupedRows, weight: PackedGroups) -> Tensor:
    """Returns x W^T as [M, N] float32.

    Sums of a group are exact, those of groups in float32. With AMX, rows of a long pass are multiplied in
    bfloat16.
    """
    n_rows, (n_tiles, _, lanes) = len(x.values), weight.scale.shape
    machine, out = get_machine(lanes), torch.empty(n_rows, n_tiles * lanes)
    is_tall = n_rows >= MANY_ROWS and f"tall{weight.bits}" in machine.jobs
    tall = n_rows - n_rows % TALL_ROWS if is_tall else 0
    run = [*jobs.tall_product(machine, x, weight, out[:tall])] if tall else []
    if tall < n_rows:
        run.append(jobs.product(machine, GroupedRows(*(part[tall:] for part in x)), weight, out[tall:]))
    Chain(machine.pool, run).run()
    return out


def quantise_rows(x: Tensor) -> GroupedRows:
    """Returns x [M, K] in int8, a scale per group.

    Raises:
        ValueError: when K is no multiple of 32.
    """
    rows, machine = empty_rows(len(x), x.shape[1]), get_machine()
    _run(machine, jobs.rounding(machine, x.float().contiguous(), rows))
    return rows


def swiglu_rows(x: GroupedRows, gate_up: PackedGroups) -> GroupedRows:
    """Returns `reference.swiglu` in int8, for x [M, D] and gate_up [2 F, D], F a multiple of 32: [M, F]."""
    whole, machine = linear(x, gate_up), get_machine()
    rows = empty_rows(len(whole), whole.shape[1] // 2)
    _run(machine, jobs.gate(machine, whole, rows))
    return rows


def add_rms_norm(x: Tensor, residual: Tensor | None, weight: Tensor, eps: float) -> tuple[GroupedRows, Tensor]:
    """Returns the normalised sum of x [M, D] and its residual, rounded, and the sum itself, all float32.

    Raises:
        ValueError: when D is no multiple of 32.
    """
    x, before, machine = x.float(), None if residual is None else residual.float(), get_machine()
    total, rows = torch.empty_like(x), empty_rows(*x.shape)
    _run(machine, jobs.norm(machine, x, before, weight.float(), total, eps, rows))
    return rows, total


def softens(scores: Tensor) -> bool:
    """Returns whether `soften_` takes scores [M, V]."""
    is_ours = scores.dtype == torch.float32 and not scores.is_cuda and scores.is_contiguous()
    return is_ours and is_there() and scores.shape[1] % processor.lanes() == 0


def soften_(scores: Tensor, forbidden: Tensor) -> None:
    """Makes scores probabilities in their place: see `score_ops.probabilities_`."""
    machine = get_machine()
    _run(machine, jobs.soften(machine, scores, forbidden))


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
    """Returns float32 queries [B, T, H, K]: see `ops.rotate_and_write_`; for a cache in bfloat16.

    Changes x [B T, (H + 2 G) K] float32.
    """
    machine, (_, n_groups, _, width) = get_machine(), keys.shape
    n_tokens, n_heads = len(x) // len(spans.rows), x.shape[1] // width - 2 * n_groups
    queries = torch.empty(len(spans.rows), n_tokens, n_heads, width)
    both = None if norms is None else (norms[0].float(), norms[1].float())
    of_all = None if bias is None else bias.float()
    for index, (row, start) in enumerate(zip(spans.rows.tolist(), spans.starts.tolist(), strict=True)):
        check_inside(row, start, n_tokens, keys)
        part, cache = slice(index * n_tokens, (index + 1) * n_tokens), jobs.places(keys, values, row, start)
        angles = tables[0][part].float(), tables[1][part].float()
        _run(machine, jobs.turn(machine, x[part], of_all, both, eps, angles, queries[index], n_groups, cache))
    return queries


def block_attention(q: Tensor, keys: Tensor, values: Tensor, spans: AttentionMetadata, block_length: int) -> Tensor:
    """Returns [B T, H K] float32: see `ops.block_attention`.

    Args:
        q: [B, T, H, K] float32, T at most `MOST_QUERIES`.
        keys: [R, G, C, K] bfloat16.
        values: as `keys`.
        spans: where the tokens stand; what is behind the count of a sequence is padding, and its rows of no use.
        block_length: the mask.
    """
    n_groups, machine = keys.shape[1], get_machine()
    out = torch.empty(q.shape[0], q.shape[1], q.shape[2] * q.shape[3])
    scores = empty_scores(machine, q.shape[2] // n_groups, int((spans.starts + spans.counts).max()) + 1)
    for index, (row, start, count) in enumerate(zip(*map(Tensor.tolist, spans), strict=True)):
        seen = max(count, 1)
        check_inside(row, start, seen, keys)
        cache = jobs.places(keys, values, row, 0)
        _run(
            machine,
            jobs.attention(machine, q[index], n_groups, cache, start, seen, block_length, scores, out[index]),
        )
    return out.flatten(0, 1)


def get_machine(lanes: int = 0) -> Machine:
    """Returns the machine code for vectors of so many floats, 0: of what the processor has; see `compiled.machine`."""
    # not above: where there is no llvmlite, whoever multiplies otherwise must not need it
    from coder_kernels.cpu import compiled

    return compiled.machine(lanes)


def check_inside(row: int, start: int, count: int, cache: Tensor) -> None:
    """Checks that tokens lie in a cache [R, G, C, K]: code that writes what it is told would write beside it.

    Raises:
        ValueError: when they do not.
    """
    if not (0 <= row < cache.shape[0] and 0 <= start <= start + count <= cache.shape[2]):
        found = f"{start} to {start + count} of row {row}"
        raise ValueError(f"tokens must be in a cache of {cache.shape[0]} rows of {cache.shape[2]}, got {found}")


def empty_rows(n_rows: int, width: int) -> GroupedRows:
    """Returns room for rounded rows.

    Raises:
        ValueError: when the width is no multiple of 32.
    """
    if width % GROUP:
        raise ValueError(f"rows must be whole groups of {GROUP} numbers, got {width}")
    n_groups = width // GROUP
    return GroupedRows(
        torch.empty(n_rows, width, dtype=torch.int8),
        torch.empty(n_rows, n_groups),
        torch.empty(n_rows, n_groups, dtype=torch.int32),
    )


def empty_scores(machine: Machine, shared: int, n_keys: int) -> Tensor:
    """Returns room for the scores of `shared` heads over so many keys, for each thread."""
    return torch.empty(machine.pool.threads, shared, n_keys + machine.lanes)


def _run(machine: Machine, job: jobs.MachineJob) -> None:
    Chain(machine.pool, [job]).run()
