"""What is done with rows between products: norms, gates, and rounding in groups.

A group of 32 numbers is rounded to int8 by its largest absolute value over 127. Beside values and scales stands what a
product begins its sum with: -128 times the sum of the group, since 128 is added to each weight there.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from coder_kernels.cpu.emit import F32, I8, I32, Emitter
from coder_kernels.cpu.layout import GROUP


def write_round(module: ir.Module, lanes: int) -> None:
    """Writes the job `round`: of float32 x; items are groups, those of all rows."""
    e = Emitter(module, "round", lanes)
    with e.loop(e.end, e.first) as group:
        _round(e, group, _vectors(e, e.pointer("x"), e.times(group, 4 * GROUP)))
    e.b.ret_void()


def write_gate(module: ir.Module, lanes: int) -> None:
    """Writes the job `gate`: silu(gate) * up, rounded; x is [rows, gate and up]; items are groups of the result."""
    e = Emitter(module, "gate", lanes)
    with e.loop(e.end, e.first) as group:
        row = e.b.sdiv(group, e["groups"])
        gate_at = e.b.add(group, e.times(row, e["groups"]))
        gates = _vectors(e, e.pointer("x"), e.times(gate_at, 4 * GROUP))
        ups = _vectors(e, e.pointer("x"), e.times(e.b.add(gate_at, e["groups"]), 4 * GROUP))
        _round(e, group, [e.mul(_silu(e, gate), up) for gate, up in zip(gates, ups, strict=True)])
    e.b.ret_void()


def write_soften(module: ir.Module, lanes: int) -> None:
    """Writes the job `soften`: softmax of each row in its place, 0 where a token is forbidden; items are rows.

    Arguments: scores (float32 [rows, width]), forbidden (bool [width]), width (a multiple of `lanes`).
    """
    e = Emitter(module, "soften", lanes)
    with e.loop(e.end, e.first) as row:
        scores = e.at(e.pointer("scores"), e.times(row, e["width"], 4))
        largest, total = e.variable(e.all(float("-inf"))), e.variable(e.all(0.0))
        with e.loop(e["width"], 0, lanes) as column:
            score = e.load(e.at(scores, e.times(column, 4)), e.floats)
            largest.set(e.larger(largest.get(), e.b.select(_is_forbidden(e, column), e.all(float("-inf")), score)))
        most = e.splat(e.across(largest.get(), e.larger))
        with e.loop(e["width"], 0, lanes) as column:
            place = e.at(scores, e.times(column, 4))
            power = e.exponential(e.b.fsub(e.load(place, e.floats), most))
            share = e.b.select(_is_forbidden(e, column), e.all(0.0), power)
            e.store(share, place)
            total.set(e.add(total.get(), share))
        factor = e.splat(e.b.fdiv(ir.Constant(F32, 1.0), e.across(total.get(), e.add)))
        with e.loop(e["width"], 0, lanes) as column:
            place = e.at(scores, e.times(column, 4))
            e.store(e.mul(e.load(place, e.floats), factor), place)
    e.b.ret_void()


def _is_forbidden(e: Emitter, column: Any) -> Any:
    marks = e.load(e.at(e.pointer("forbidden"), column), ir.VectorType(I8, e.lanes))
    return e.b.icmp_unsigned("!=", marks, e.all(0, ir.VectorType(I8, e.lanes)))


def write_norm(module: ir.Module, lanes: int) -> None:
    """Writes the job `norm`: RMSNorm of a sum, rounded; items are rows.

    Arguments: groups (of a row), x, residual (0 for none), weight, total (all float32), epsilon, and `ROUNDED`.
    """
    e = Emitter(module, "norm", lanes)
    width = e.times(e["groups"], GROUP)
    with e.loop(e.end, e.first) as row:
        start = e.times(row, width, 4)
        total = e.at(e.pointer("total"), start)
        factor = e.splat(e.inverse_root(_add_up(e, start, total, width), width))
        with e.loop(e["groups"]) as group:
            offset = e.times(group, 4 * GROUP)
            pairs = zip(_vectors(e, total, offset), _vectors(e, e.pointer("weight"), offset), strict=True)
            _round(e, e.b.add(e.times(row, e["groups"]), group), [e.mul(e.mul(x, factor), w) for x, w in pairs])
    e.b.ret_void()


def _add_up(e: Emitter, start: Any, total: Any, width: Any) -> Any:
    """Writes the sum of a row and its residual, and returns the sum of its squares."""
    squares, has_residual = e.variable(e.all(0.0)), e.b.icmp_signed("!=", e["residual"], e.c(0))
    with e.loop(width, 0, e.lanes) as column:
        offset = e.b.add(start, e.times(column, 4))
        place = e.at(total, e.times(column, 4))
        e.store(e.load(e.at(e.pointer("x"), offset), e.floats), place)
        with e.b.if_then(has_residual):
            e.store(e.add(e.load(place, e.floats), e.load(e.at(e.pointer("residual"), offset), e.floats)), place)
        x = e.load(place, e.floats)
        squares.set(e.add(squares.get(), e.mul(x, x)))
    return e.across(squares.get(), e.add)


def _silu(e: Emitter, x: Any) -> Any:
    return e.b.fdiv(x, e.add(e.all(1.0), e.exponential(e.b.fneg(x))))


def _vectors(e: Emitter, base: Any, offset: Any) -> list[Any]:
    """The floats of a group."""
    place = e.at(base, offset)
    return [e.load(e.at(place, 4 * column), e.floats) for column in range(0, GROUP, e.lanes)]


def _round(e: Emitter, group: Any, vectors: list[Any]) -> None:
    """Writes a group of floats as int8, with its scale and its offset."""
    most = e.absolute(vectors[0])
    for vector in vectors[1:]:
        most = e.larger(most, e.absolute(vector))
    most = e.larger(e.across(most, e.larger), ir.Constant(F32, 1e-8))
    scale = e.b.fdiv(most, ir.Constant(F32, 127.0))
    total = e.all(0, e.ints)
    place = e.at(e.pointer("values"), e.times(group, GROUP))
    for index, vector in enumerate(vectors):
        near = e.intrinsic(f"llvm.rint.v{e.lanes}f32", e.floats, e.b.fdiv(vector, e.splat(scale)))
        whole = e.b.fptosi(near, e.ints)
        total = e.b.add(total, whole)
        e.store(e.b.trunc(whole, ir.VectorType(I8, e.lanes)), e.at(place, e.lanes * index))
    offset = e.b.mul(e.across(total, e.b.add), ir.Constant(I32, -128))
    e.store(scale, e.at(e.pointer("scales"), e.times(group, 4)))
    e.store(offset, e.at(e.pointer("offsets"), e.times(group, 4)))
