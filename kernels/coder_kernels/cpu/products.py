"""The product of rounded rows with weights in groups.

A tile of weights is `lanes` rows of the matrix. Of a group of 32 columns it holds eight vectors, four columns of every
row in each, as instructions for dot products of bytes take them: `lanes` sums of four products at a time. There are
three kinds of instructions:
- VNNI multiplies bytes without a sign (the weights, 128 added) with bytes that have one (the activations);
- AVX2 alone adds pairs of such products in 16 bits, and stops at the largest number. Below it stay sixteen products of
  levels of four bits (16 x 15 x 127), eight of five bits (16 added: 8 x 31 x 127), and of bytes two with the weight's
  absolute value, its sign given to the activation (2 x 128 x 127);
- Neon's dot products have signs on both sides, in vectors of four sums.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir

from coder_kernels.cpu.emit import F16, I1, I8, I16, I32, NOTHING, Emitter
from coder_kernels.cpu.layout import GROUP, STEPS, group_bytes
from coder_kernels.cpu.processor import Products

ROWS = 32
"""Rows that a tile is multiplied with before it is read again: so many sums stay in the first cache."""
_SHORTS, _SIXTEEN = ir.VectorType(I16, 16), ir.VectorType(I8, 16)
_AHEAD = 8192
"""Bytes that are asked for before they are needed: a pass over few rows waits for memory."""


def write_product(module: ir.Module, bits: int, lanes: int, by: Products) -> None:
    """Writes the job `product4`, `product5` or `product8`: X W^T in float32; items are tiles.

    Arguments: rows, groups (of a row), height (rows of W), weight (uint8), scale (float16 [tiles, groups, lanes]),
    offset (as scale, what a weight has beside its level; with four bits), x (int8 [rows, K]), x_scale (float32
    [rows, groups]), x_offset (int32, see `rows.py`), out (float32 [rows, height]).
    """
    e = Emitter(module, "product", lanes, str(bits))
    added, multiply = _WAYS[by, bits]
    sums = e.room(ROWS)
    with e.loop(e["rows"], 0, ROWS) as first, e.loop(e.end, e.first) as tile:
        count = _at_most(e, e.b.sub(e["rows"], first), ROWS)
        _clear(e, sums, count)
        with e.loop(e["groups"]) as group:
            of_tile = e.b.add(e.times(tile, e["groups"]), group)
            weights, scale = load_weights(e, bits, of_tile, added), load_halves(e, "scale", of_tile)
            # an offset is multiplied with the sum of the row's group, of which -128 times is there
            offset = e.mul(load_halves(e, "offset", of_tile), e.all(-1 / 128)) if bits == 4 else None
            with e.loop(count) as row:
                of_row = e.b.add(e.times(e.b.add(first, row), e["groups"]), group)
                place = e.at(e.pointer("x"), e.times(of_row, GROUP))
                x = [e.splat(e.load(e.at(place, 4 * step), I32)) for step in range(STEPS)]
                total = _without(e, added, multiply(e, weights, x), of_row)
                exact = e.mul(e.b.sitofp(total, e.floats), scale)
                if offset:
                    exact = e.add(exact, e.mul(e.b.sitofp(e.load_splat("x_offset", of_row, I32), e.floats), offset))
                _add_scaled(e, exact, of_row, _sum_at(e, sums, row))
        _write_sums(e, sums, count, first, tile)
    e.b.ret_void()


def _sum_at(e: Emitter, sums: Any, row: Any) -> Any:
    return e.at(sums, e.times(row, 4 * e.lanes))


def _at_most(e: Emitter, number: Any, most: int) -> Any:
    return e.b.select(e.b.icmp_signed("<", number, e.c(most)), number, e.c(most))


def _clear(e: Emitter, sums: Any, count: Any) -> None:
    # a zero that LLVM does not know: it would have a library's memset clear them, which had to be found
    zero = e.b.asm(ir.FunctionType(I32, [I32]), "", "=r,0", [ir.Constant(I32, 0)], side_effect=False)
    zeros = e.b.bitcast(e.splat(zero), e.floats)
    with e.loop(count) as row:
        e.store(zeros, _sum_at(e, sums, row))


def _write_sums(e: Emitter, sums: Any, count: Any, first: Any, tile: Any) -> None:
    with e.loop(count) as row:
        place = e.b.add(e.times(e.b.add(first, row), e["height"]), e.times(tile, e.lanes))
        e.store(e.load(_sum_at(e, sums, row), e.floats), e.at(e.pointer("out"), e.times(place, 4)))


def load_halves(e: Emitter, name: str, of_tile: Any) -> Any:
    """Returns the scales or the offsets of a tile's group, a vector of floats."""
    halves = e.load(e.at(e.pointer(name), e.times(of_tile, 2 * e.lanes)), ir.VectorType(F16, e.lanes))
    return e.b.fpext(halves, e.floats)


def _without(e: Emitter, added: int, total: Any, of_row: Any) -> Any:
    """Returns a row's product with a tile's group without what the weights had more; `x_offset` is for 128."""
    if not added:
        return total
    offset = e.load_splat("x_offset", of_row, I32)
    return e.b.add(total, e.b.ashr(offset, e.all((128 // added).bit_length() - 1, e.ints)))


def _add_scaled(e: Emitter, exact: Any, of_row: Any, place: Any) -> None:
    """Adds a row's product with a tile's group, but for the row's scale, to the row's sums."""
    e.store(e.add(e.load(place, e.floats), e.mul(exact, e.load_splat("x_scale", of_row))), place)


def load_weights(e: Emitter, bits: int, of_tile: Any, added: int = 128) -> list[Any]:
    """Returns the vectors of bytes of a tile's group, 128 added to each, or nothing, or with five bits 16.

    Levels of four bits are as they are.
    """
    bytes_of = ir.VectorType(I8, 4 * e.lanes)
    size = group_bytes(bits, e.lanes)
    place = e.at(e.pointer("weight"), e.times(of_tile, size))
    for line in range(0, size, 64):
        e.intrinsic("llvm.prefetch.p0", NOTHING, e.at(place, _AHEAD + line), *(ir.Constant(I32, n) for n in (0, 3, 1)))
    if bits == 8:
        found = [e.load(e.at(place, 4 * e.lanes * step), bytes_of) for step in range(STEPS)]
        return found if added else [e.b.xor(weight, e.all(128, bytes_of)) for weight in found]
    found = []
    for step in range(STEPS):
        pair = e.load(e.at(place, 4 * e.lanes * (step // 2)), bytes_of)
        if step % 2:
            # of two bytes, as there is no shift of single ones
            shorts = ir.VectorType(I16, 2 * e.lanes)
            pair = e.b.bitcast(e.b.lshr(e.b.bitcast(pair, shorts), e.all(4, shorts)), bytes_of)
        low = e.b.and_(pair, e.all(15, bytes_of))
        if bits == 4:
            found.append(low)
            continue
        fifth = e.load(e.at(place, 2 * e.lanes * STEPS + e.lanes // 2 * step), ir.IntType(4 * e.lanes))
        is_set = e.b.bitcast(fifth, ir.VectorType(I1, 4 * e.lanes))
        # a five-bit weight is 16 above its value already
        higher, lower = (e.b.or_(low, e.all(number, bytes_of)) for number in (added, added - 16))
        found.append(e.b.select(is_set, higher, lower))
    return found


def _vnni(e: Emitter, weights: list[Any], x: list[Any]) -> Any:
    """Returns `lanes` sums of 32 products."""
    total = e.all(0, e.ints)
    for weight, four in zip(weights, x, strict=True):
        total = e.intrinsic(
            f"llvm.x86.avx512.vpdpbusd.{32 * e.lanes}", e.ints, total, e.b.bitcast(weight, e.ints), four
        )
    return total


def _avx2_levels(e: Emitter, weights: list[Any], x: list[Any]) -> Any:
    """The same, of levels of five bits."""
    return e.b.add(*(_fours(e, half) for half in _halves(e, weights, x)))


def _avx2_nibbles(e: Emitter, weights: list[Any], x: list[Any]) -> Any:
    """The same, of levels of four bits."""
    return _fours(e, e.b.add(*_halves(e, weights, x)))


def _halves(e: Emitter, weights: list[Any], x: list[Any]) -> list[Any]:
    """Sums of eight products each, in 16 bits, of the first four steps and of the others."""
    pairs = [_pairs(e, weight, four) for weight, four in zip(weights, x, strict=True)]
    return [
        e.b.add(e.b.add(pairs[first], pairs[first + 1]), e.b.add(pairs[first + 2], pairs[first + 3]))
        for first in range(0, STEPS, 4)
    ]


def _avx2_bytes(e: Emitter, weights: list[Any], x: list[Any]) -> Any:
    """The same, of bytes with a sign."""
    total = e.all(0, e.ints)
    for weight, four in zip(weights, x, strict=True):
        size = e.intrinsic("llvm.abs.v32i8", weight.type, weight, ir.Constant(I1, 0))
        signed = e.intrinsic("llvm.x86.avx2.psign.b", weight.type, e.b.bitcast(four, weight.type), weight)
        total = e.b.add(total, _fours(e, _pairs(e, size, signed)))
    return total


def _pairs(e: Emitter, weight: Any, x: Any) -> Any:
    """Sums of two products each, in 16 bits."""
    return e.intrinsic("llvm.x86.avx2.pmadd.ub.sw", _SHORTS, weight, e.b.bitcast(x, weight.type))


def _fours(e: Emitter, pairs: Any) -> Any:
    """Sums of two numbers of 16 bits each."""
    return e.intrinsic("llvm.x86.avx2.pmadd.wd", e.ints, pairs, e.all(1, _SHORTS))


def _neon(e: Emitter, weights: list[Any], x: list[Any]) -> Any:
    """The same, of bytes with a sign, half of the lanes at a time."""
    halves, half = [], ir.VectorType(I32, e.lanes // 2)
    for first in (0, e.lanes // 2):
        total = ir.Constant(half, [0] * half.count)
        for both in zip(weights, x, strict=True):
            weight, four = (e.b.bitcast(_part(e, e.b.bitcast(v, e.ints), first), _SIXTEEN) for v in both)
            total = e.intrinsic("llvm.aarch64.neon.sdot.v4i32.v16i8", half, total, weight, four)
        halves.append(total)
    return e.b.shuffle_vector(*halves, ir.Constant(e.ints, list(range(e.lanes))))


def _part(e: Emitter, vector: Any, first: int) -> Any:
    places = ir.Constant(ir.VectorType(I32, e.lanes // 2), list(range(first, first + e.lanes // 2)))
    return e.b.shuffle_vector(vector, vector, places)


_WAYS: dict[tuple[Products, int], tuple[int, Callable[[Emitter, list[Any], list[Any]], Any]]] = {
    ("vnni", 4): (0, _vnni), ("vnni", 5): (128, _vnni), ("vnni", 8): (128, _vnni),
    ("avx2", 4): (0, _avx2_nibbles), ("avx2", 5): (16, _avx2_levels), ("avx2", 8): (0, _avx2_bytes),
    ("neon", 4): (0, _neon), ("neon", 5): (0, _neon), ("neon", 8): (0, _neon),
}  # fmt: skip
"""What is added to weights of so many bits, and what multiplies them."""
