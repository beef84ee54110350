"""The product of many rows with weights in groups, by instructions that multiply matrices of bfloat16 (AMX).

A group's sums of integers would have to leave the registers of matrices before they can be scaled, which takes longer
than the product. So weights and rows are made bfloat16 first, and a sum stays where it is. Only passes over as many
tokens as a context has come here.
"""

from __future__ import annotations

from itertools import product
from typing import Any

from llvmlite import ir

from coder_kernels.cpu.emit import I8, NOTHING, Emitter
from coder_kernels.cpu.layout import GROUP, SIDE, TALL_ROWS, WIDE_BYTES
from coder_kernels.cpu.products import load_halves, load_weights

_AT_A_TIME = 128
"""Rows for which weights are made bfloat16 once; as many stay in the second cache."""
_REGISTERS = [ir.Constant(I8, register) for register in range(8)]
_WEIGHTS, _X, _SUMS = _REGISTERS[:2], _REGISTERS[2:4], _REGISTERS[4:]
"""Registers, each of a matrix of 16 rows of 64 bytes."""


def write_widen(module: ir.Module) -> None:
    """Writes the job `widen`: x (int8 [rows, K]) times its scales, in bfloat16; items are groups.

    Arguments: x, scales (float32), out (bfloat16).
    """
    e = Emitter(module, "widen", SIDE)
    with e.loop(e.end, e.first) as group:
        scale = e.load_splat("scales", group)
        for column in range(0, GROUP, SIDE):
            place = e.b.add(e.times(group, GROUP), e.c(column))
            values = e.b.sext(e.load(e.at(e.pointer("x"), place), ir.VectorType(I8, SIDE)), e.ints)
            exact = e.mul(e.b.sitofp(values, e.floats), scale)
            e.store(e.shortened(exact), e.at(e.pointer("out"), e.times(place, 2)))
    e.b.ret_void()


def write_tall_product(module: ir.Module, bits: int) -> None:
    """Writes the job `tall4`, `tall5` or `tall8`: X W^T in float32; items are tiles, rows a multiple of `TALL_ROWS`.

    Arguments: rows, groups, height, weight, scale and offset as in `products.py`, x (bfloat16 [rows, K]), room (the
    weights of two tiles in bfloat16, for each thread), out (float32 [rows, height]).
    """
    e = Emitter(module, "tall", SIDE, str(bits))
    shapes = e.room(1)
    # one kind of registers; then the bytes of a row, in two bytes each, and from the 48th byte on the rows of each
    sizes = [1, *15 * [0], *8 * [64, 0], *16 * [0], *8 * [SIDE], *8 * [0]]
    e.store(ir.Constant(ir.VectorType(I8, 64), sizes), shapes)
    e.intrinsic("llvm.x86.ldtilecfg", NOTHING, shapes)
    size = e.times(e["groups"], WIDE_BYTES)
    own = e.at(e.pointer("room"), e.times(e.thread, size, 2))
    rooms = own, e.at(own, size)
    with e.loop(e["rows"], 0, _AT_A_TIME) as start, e.loop(e.end, e.first, 2) as tile:
        # the last tile has no neighbour, and is its own
        last = e.b.sub(e.end, e.c(1))
        beside = e.b.add(tile, e.c(1))
        tiles = tile, e.b.select(e.b.icmp_signed("<", beside, last), beside, last)
        with e.loop(e["groups"]) as group:
            for each, room in zip(tiles, rooms, strict=True):
                of_tile = e.b.add(e.times(each, e["groups"]), group)
                _widen_weights(e, bits, of_tile, e.at(room, e.times(group, WIDE_BYTES)))
        end = e.b.add(start, e.c(_AT_A_TIME))
        with e.loop(e.b.select(e.b.icmp_signed("<", end, e["rows"]), end, e["rows"]), start, TALL_ROWS) as first:
            _multiply(e, first, tiles, rooms)
    e.intrinsic("llvm.x86.tilerelease", NOTHING)
    e.b.ret_void()


def _widen_weights(e: Emitter, bits: int, of_tile: Any, place: Any) -> None:
    """Writes a group of weights in bfloat16: pairs of columns, each of all rows of the tile one after the other."""
    scale, offset = load_halves(e, "scale", of_tile), load_halves(e, "offset", of_tile) if bits == 4 else None
    added = 0 if offset else 128
    high = e.all(-0x10000, e.ints)
    for step, weight in enumerate(load_weights(e, bits, of_tile, added)):
        four = e.b.bitcast(weight, e.ints)
        columns = []
        for column in range(4):
            byte = e.b.and_(e.b.lshr(four, e.all(8 * column, e.ints)), e.all(255, e.ints))
            exact = e.mul(e.b.sitofp(e.b.sub(byte, e.all(added, e.ints)), e.floats), scale)
            if offset:
                exact = e.add(exact, offset)
            # numbers are finite, and of two that are as near the larger one will do
            columns.append(e.b.add(e.b.bitcast(exact, e.ints), e.all(0x8000, e.ints)))
        for pair in range(2):
            left = e.b.lshr(columns[2 * pair], e.all(16, e.ints))
            both = e.b.or_(left, e.b.and_(columns[2 * pair + 1], high))
            e.store(both, e.at(place, 64 * (2 * step + pair)))


def _multiply(e: Emitter, first: Any, tiles: tuple[Any, Any], rooms: tuple[Any, Any]) -> None:
    """Writes the products of `TALL_ROWS` rows with two tiles."""
    row_bytes = e.times(e["groups"], 2 * GROUP)
    parts = [e.b.add(first, e.c(SIDE * part)) for part in range(2)]
    for sums in _SUMS:
        e.intrinsic("llvm.x86.tilezero", NOTHING, sums)
    with e.loop(e["groups"]) as group:
        for room, weights in zip(rooms, _WEIGHTS, strict=True):
            place = e.at(room, e.times(group, WIDE_BYTES))
            e.intrinsic("llvm.x86.tileloadd64", NOTHING, weights, place, e.c(64))
        for part, x in zip(parts, _X, strict=True):
            place = e.b.add(e.times(part, row_bytes), e.times(group, 2 * GROUP))
            e.intrinsic("llvm.x86.tileloadd64", NOTHING, x, e.at(e.pointer("x"), place), row_bytes)
        for sums, (x, weights) in zip(_SUMS, product(_X, _WEIGHTS), strict=True):
            e.intrinsic("llvm.x86.tdpbf16ps", NOTHING, sums, x, weights)
    for sums, (part, tile) in zip(_SUMS, product(parts, tiles), strict=True):
        place = e.times(e.b.add(e.times(part, e["height"]), e.times(tile, SIDE)), 4)
        e.intrinsic("llvm.x86.tilestored64", NOTHING, sums, e.at(e.pointer("out"), place), e.times(e["height"], 4))
