"""What is done with the heads of a pass: rotary positions, the cache of keys and values, and attention over it.

A cache holds bfloat16, the upper halves of floats; sums are in float32. For `PLACES` see `layout.py`.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from coder_kernels.cpu.emit import F32, Emitter

_MOST_SUMS = 24
"""Vectors that are summed up at a time: a core has 32 registers for them, or 16 and a fast cache."""


def write_turn(module: ir.Module, lanes: int) -> None:
    """Writes the job `turn`: bias, QK-norm, rotary positions; items are heads of tokens, queries, keys, values.

    Arguments: heads, groups, width (of a head), x (float32 [tokens, heads + 2 groups, width]), bias (the same of one
    token, or 0), query_norm and key_norm (float32 [width], or 0), epsilon, cosine and sine (float32 [tokens,
    width / 2]), queries (float32 [tokens, heads, width]), and `PLACES`, from where the first token goes on.
    """
    e = Emitter(module, "turn", lanes)
    all_heads = e.b.add(e["heads"], e.times(e["groups"], 2))
    with e.loop(e.end, e.first) as item:
        token, head = e.b.sdiv(item, all_heads), e.b.srem(item, all_heads)
        x = e.at(e.pointer("x"), e.times(item, e["width"], 4))
        with e.b.if_then(e.b.icmp_signed("!=", e["bias"], e.c(0))):
            bias = e.at(e.pointer("bias"), e.times(head, e["width"], 4))
            with e.loop(e["width"], 0, lanes) as column:
                place = e.at(x, e.times(column, 4))
                e.store(e.add(e.load(place, e.floats), e.load(e.at(bias, e.times(column, 4)), e.floats)), place)
        index = e.b.sub(head, e["heads"])
        is_query = e.b.icmp_signed("<", index, e.c(0))
        is_turned = e.b.icmp_signed("<", index, e["groups"])
        with e.b.if_then(is_turned):
            _norm(e, x, e.b.select(is_query, e["query_norm"], e["key_norm"]))
            _turn(e, x, token)
        with e.b.if_else(is_query) as (query, cached):
            with query:
                row = e.b.add(e.times(token, e["heads"]), head)
                to = e.at(e.pointer("queries"), e.times(row, e["width"], 4))
                with e.loop(e["width"], 0, lanes) as column:
                    e.store(e.load(e.at(x, e.times(column, 4)), e.floats), e.at(to, e.times(column, 4)))
            with cached:
                group = e.b.select(is_turned, index, e.b.sub(index, e["groups"]))
                base = e.b.select(is_turned, e.pointer("keys"), e.pointer("values"))
                offset = e.b.add(e.times(token, e["token_bytes"]), e.times(group, e["head_bytes"]))
                with e.loop(e["width"], 0, lanes) as column:
                    short = e.shortened(e.load(e.at(x, e.times(column, 4)), e.floats))
                    e.store(short, e.at(e.at(base, offset), e.times(column, 2)))
    e.b.ret_void()


def _norm(e: Emitter, x: Any, weight: Any) -> None:
    """RMSNorm of a head in its place, if there is a weight."""
    with e.b.if_then(e.b.icmp_signed("!=", weight, e.c(0))):
        squares = e.variable(e.all(0.0))
        with e.loop(e["width"], 0, e.lanes) as column:
            vector = e.load(e.at(x, e.times(column, 4)), e.floats)
            squares.set(e.add(squares.get(), e.mul(vector, vector)))
        factor = e.splat(e.inverse_root(e.across(squares.get(), e.add), e["width"]))
        weights = e.b.inttoptr(weight, x.type)
        with e.loop(e["width"], 0, e.lanes) as column:
            place = e.at(x, e.times(column, 4))
            normal = e.mul(e.load(place, e.floats), factor)
            e.store(e.mul(normal, e.load(e.at(weights, e.times(column, 4)), e.floats)), place)


def _turn(e: Emitter, x: Any, token: Any) -> None:
    """Turns a head in its place, half-split layout (RoFormer, arXiv:2104.09864)."""
    half = e.b.sdiv(e["width"], e.c(2))
    with e.loop(half, 0, e.lanes) as column:
        angle = e.times(e.b.add(e.times(token, half), column), 4)
        cosine, sine = (e.load(e.at(e.pointer(name), angle), e.floats) for name in ("cosine", "sine"))
        left_at, right_at = e.at(x, e.times(column, 4)), e.at(x, e.times(e.b.add(column, half), 4))
        left, right = e.load(left_at, e.floats), e.load(right_at, e.floats)
        e.store(e.b.fsub(e.mul(left, cosine), e.mul(right, sine), flags=("contract",)), left_at)
        e.store(e.add(e.mul(right, cosine), e.mul(left, sine)), right_at)


def write_attention(module: ir.Module, lanes: int, width: int, shared: int) -> None:
    """Writes the job `attention_WIDTH_SHARED`; items are tokens by groups of `shared` heads that have the same keys.

    Arguments: groups, start and count (tokens in the cache before the pass, and of it), block (see
    `ops.block_attention`), queries (float32 [count, heads, width]), `PLACES`, scores (float32, room for `shared` rows
    of `room` numbers per thread), room, out (as queries).
    """
    e = Emitter(module, "attention", lanes, f"_{width}_{shared}")
    with e.loop(e.end, e.first) as item:
        token, group = e.b.sdiv(item, e["groups"]), e.b.srem(item, e["groups"])
        seen = _seen(e, token)
        scores = e.at(e.pointer("scores"), e.times(e.thread, shared, e["room"], 4))
        offset = e.times(item, shared * width * 4)
        _score(e, width, shared, e.at(e.pointer("queries"), offset), group, seen, scores)
        sums = [_softmax(e, e.at(scores, e.times(e["room"], 4 * head)), seen) for head in range(shared)]
        _mix(e, width, group, seen, scores, sums, e.at(e.pointer("out"), offset))
    e.b.ret_void()


def _seen(e: Emitter, token: Any) -> Any:
    """How many keys a token sees."""
    end = e.b.add(e["start"], e["count"])
    # a row that waits for a sequence has no tokens at all
    whole_row = e.b.select(e.b.icmp_signed("==", end, e.c(0)), e.c(1), end)
    block = e.b.select(e.b.icmp_signed("==", e["block"], e.c(0)), whole_row, e["block"])
    own = e.times(e.b.add(e.b.sdiv(e.b.add(e["start"], token), block), e.c(1)), block)
    return e.b.select(e.b.icmp_signed("<", own, end), own, end)


def _score(e: Emitter, width: int, shared: int, queries: Any, group: Any, seen: Any, scores: Any) -> None:
    """Writes the products of each head's query with all keys that it sees."""
    columns = range(0, width, e.lanes)
    keys = e.at(e.pointer("keys"), e.times(group, e["head_bytes"]))
    with e.loop(seen) as index:
        key = e.at(keys, e.times(index, e["token_bytes"]))
        parts = [e.lengthened(e.at(key, 2 * column)) for column in columns]
        for head in range(shared):
            total = e.all(0.0)
            for column, part in zip(columns, parts, strict=True):
                query = e.load(e.at(queries, 4 * (head * width + column)), e.floats)
                total = e.add(total, e.mul(query, part))
            score = e.mul(e.across(total, e.add), ir.Constant(F32, width**-0.5))
            e.store(score, e.at(scores, e.times(e.b.add(e.times(e["room"], head), index), 4)))


def _softmax(e: Emitter, scores: Any, seen: Any) -> Any:
    """Makes e^(score - largest) of scores, zeros behind them up to a whole vector, and returns their sum."""
    whole = e.times(e.b.sdiv(e.b.add(seen, e.c(e.lanes - 1)), e.c(e.lanes)), e.lanes)
    with e.loop(whole, seen) as index:
        e.store(ir.Constant(F32, float("-inf")), e.at(scores, e.times(index, 4)))
    largest, total = e.variable(e.all(float("-inf"))), e.variable(e.all(0.0))
    with e.loop(whole, 0, e.lanes) as index:
        largest.set(e.larger(largest.get(), e.load(e.at(scores, e.times(index, 4)), e.floats)))
    most = e.splat(e.across(largest.get(), e.larger))
    with e.loop(whole, 0, e.lanes) as index:
        place = e.at(scores, e.times(index, 4))
        power = e.exponential(e.b.fsub(e.load(place, e.floats), most))
        e.store(power, place)
        total.set(e.add(total.get(), power))
    return e.across(total.get(), e.add)


def _mix(e: Emitter, width: int, group: Any, seen: Any, scores: Any, sums: list[Any], out: Any) -> None:
    """Writes the means of the values, weighted by the scores, of each head."""
    columns = range(0, width, e.lanes)
    values = e.at(e.pointer("values"), e.times(group, e["head_bytes"]))
    at_once = max(1, _MOST_SUMS // len(columns))
    for first in range(0, len(sums), at_once):
        heads = range(first, min(first + at_once, len(sums)))
        means = {(head, column): e.variable(e.all(0.0)) for head in heads for column in columns}
        with e.loop(seen) as index:
            value = e.at(values, e.times(index, e["token_bytes"]))
            parts = {column: e.lengthened(e.at(value, 2 * column)) for column in columns}
            for head in heads:
                weight = e.splat(e.load(e.at(scores, e.times(e.b.add(e.times(e["room"], head), index), 4)), F32))
                for column, part in parts.items():
                    mean = means[head, column]
                    mean.set(e.add(mean.get(), e.mul(weight, part)))
        for (head, column), mean in means.items():
            e.store(e.b.fdiv(mean.get(), e.splat(sums[head])), e.at(out, 4 * (head * width + column)))
