"""The jobs of the machine code: what each is called with, its items, and how many of them a thread takes at a time.

Nothing is checked here: `grouped.py` does that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from coder_kernels.cpu.layout import GROUP, WIDE_BYTES
from coder_kernels.quantise import PackedGroups
from coder_kernels.tensor_types import GroupedRows

if TYPE_CHECKING:
    from coder_kernels.cpu.compiled import Machine

Arguments = dict[str, Tensor | float]
"""By their names in `layout.ARGUMENTS`: a tensor stands for where it begins, an integer or a float for itself."""
_TILES = 8
"""Tiles that a thread takes at a time: some ten microseconds of work."""
_GROUPS = 256
"""Groups that a thread rounds at a time."""


class MachineJob(NamedTuple):
    """One call."""

    kind: str
    """In `layout.ARGUMENTS`."""
    address: int
    """Of the function."""
    arguments: Arguments
    items: int
    chunk: int
    """Items that a thread takes at a time."""


def product(machine: Machine, x: GroupedRows, weight: PackedGroups, out: Tensor) -> MachineJob:
    """X W^T, for x [M, K] and weight [N, K] into out [M, N] float32."""
    n_tiles, n_groups, lanes = weight.scale.shape
    arguments: Arguments = {
        "rows": len(out), "groups": n_groups, "height": n_tiles * lanes, "weight": weight.values,
        "scale": weight.scale, "offset": weight.offset, "x": x.values, "x_scale": x.scale, "x_offset": x.offset,
        "out": out,
    }  # fmt: skip
    return MachineJob("product", machine.jobs[f"product{weight.bits}"], arguments, n_tiles, _tiles_at_a_time(n_tiles))


def tall_product(machine: Machine, x: GroupedRows, weight: PackedGroups, out: Tensor) -> list[MachineJob]:
    """The same for the first M rows of x, M a multiple of `TALL_ROWS`: multiplied in bfloat16, in tiles of AMX."""
    n_tiles, n_groups, lanes = weight.scale.shape
    wide = torch.empty(len(out), n_groups * GROUP, dtype=torch.bfloat16)
    arguments: Arguments = {
        "rows": len(out), "groups": n_groups, "height": n_tiles * lanes, "weight": weight.values,
        "scale": weight.scale, "offset": weight.offset, "x": wide, "out": out,
        "room": torch.empty(machine.pool.threads, 2, n_groups, WIDE_BYTES, dtype=torch.uint8),
    }  # fmt: skip
    widening: Arguments = {"x": x.values, "scales": x.scale, "out": wide}
    return [
        MachineJob("widen", machine.jobs["widen"], widening, len(out) * n_groups, _GROUPS),
        MachineJob("tall", machine.jobs[f"tall{weight.bits}"], arguments, n_tiles, _tiles_at_a_time(n_tiles)),
    ]


def rounding(machine: Machine, x: Tensor, rows: GroupedRows) -> MachineJob:
    """X [M, K] float32 in int8."""
    return MachineJob("round", machine.jobs["round"], {"x": x, **_rounded(rows)}, rows.scale.numel(), _GROUPS)


def gate(machine: Machine, x: Tensor, rows: GroupedRows) -> MachineJob:
    """silu(gate) * up in int8, for x [M, 2 F] float32, the gates first."""
    arguments: Arguments = {"x": x, "groups": rows.scale.shape[1], **_rounded(rows)}
    return MachineJob("gate", machine.jobs["gate"], arguments, rows.scale.numel(), _GROUPS)


def norm(
    machine: Machine, x: Tensor, residual: Tensor | None, weight: Tensor, total: Tensor, eps: float, rows: GroupedRows
) -> MachineJob:
    """The sum of x and its residual, all [M, D] float32, into total, none of the two, and its RMSNorm in int8."""
    arguments: Arguments = {
        "groups": x.shape[1] // GROUP, "x": x, "residual": 0 if residual is None else residual, "weight": weight,
        "total": total, "epsilon": eps, **_rounded(rows),
    }  # fmt: skip
    return MachineJob("norm", machine.jobs["norm"], arguments, len(x), 8)


def soften(machine: Machine, scores: Tensor, forbidden: Tensor) -> MachineJob:
    """The softmax of each row of scores [M, V] float32 in its place, 0 where `forbidden` [V] bool."""
    arguments: Arguments = {"scores": scores, "forbidden": forbidden, "width": scores.shape[1]}
    return MachineJob("soften", machine.jobs["soften"], arguments, len(scores), 1)


def turn(
    machine: Machine,
    x: Tensor,
    bias: Tensor | None,
    norms: tuple[Tensor, Tensor] | None,
    eps: float,
    tables: tuple[Tensor, Tensor],
    queries: Tensor,
    n_groups: int,
    cache: Arguments,
) -> MachineJob:
    """Rotary positions of heads x [T, (H + 2 G) K]: queries [T, H, K] float32, keys and values into the cache."""
    n_tokens, n_heads, width = queries.shape
    query_norm, key_norm = norms or (0, 0)
    arguments: Arguments = {
        "heads": n_heads, "groups": n_groups, "width": width, "x": x, "bias": 0 if bias is None else bias,
        "query_norm": query_norm, "key_norm": key_norm, "epsilon": eps, "cosine": tables[0], "sine": tables[1],
        "queries": queries, **cache,
    }  # fmt: skip
    return MachineJob("turn", machine.jobs["turn"], arguments, n_tokens * (n_heads + 2 * n_groups), 128)


def attention(
    machine: Machine,
    queries: Tensor,
    n_groups: int,
    cache: Arguments,
    start: int,
    count: int,
    block_length: int,
    scores: Tensor,
    out: Tensor,
) -> MachineJob:
    """Attention of queries [T, H, K] over the cache into out [T, H K], with scores [threads, H / G, at least all]."""
    from coder_kernels.cpu import compiled

    n_tokens, n_heads, width = queries.shape
    address, _ = compiled.attention(width, n_heads // n_groups, machine.lanes)
    arguments: Arguments = {
        "groups": n_groups, "start": start, "count": count, "block": block_length, "queries": queries, **cache,
        "scores": scores, "room": scores.shape[2], "out": out,
    }  # fmt: skip
    return MachineJob("attention", address, arguments, n_tokens * n_groups, 1)


def places(keys: Tensor, values: Tensor, row: int, start: int) -> Arguments:
    """Where token `start` of a row of a cache [R, G, C, K] bfloat16 stands, and what is between tokens and heads."""
    first, second = (
        part.data_ptr() + part.itemsize * (row * part.stride(0) + start * part.stride(2)) for part in (keys, values)
    )
    size = keys.itemsize
    return {
        "keys": first, "values": second, "token_bytes": size * keys.stride(2), "head_bytes": size * keys.stride(1)
    }  # fmt: skip


def _tiles_at_a_time(n_tiles: int) -> int:
    # so that all threads have some
    return max(1, min(_TILES, n_tiles // 4))


def _rounded(rows: GroupedRows) -> Arguments:
    return {"values": rows.values, "scales": rows.scale, "offsets": rows.offset}
