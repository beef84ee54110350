"""Each operation alone: is it right, and how near is it to the floor that the memory sets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from shapes import CONTEXT, Shape
from timing import copies, milliseconds
from torch import Tensor

from coder_kernels import ops, reference, score_ops
from coder_kernels.policies import POLICIES, PolicyOptions, Schedule
from coder_kernels.quantise import Quantised, dequantise, quantise
from coder_kernels.tensor_types import Activations, AttentionMetadata, Blocks, Rows, Selection, matrix_of

BLOCK = 32
KINDS = {"bf16": 16.0, "fp8": 8.0, "int8": 8.0, "int8 weights": 8.0, "int4": 4.5}
"""Bits of a weight, scales counted."""
PIECE = 16384
"""Rows of a weight that are in float64 at a time."""
TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 8e-3}
TOLERANCE_OF_FP8_SCORES = 4e-2
"""Hopper adds up products of fp8 in 14 bits; of random scores the lead of the likeliest is a small difference."""


@dataclass(frozen=True, slots=True)
class Case:
    """An operation at a shape."""

    n_bytes: float
    """What it must move at least."""
    runs: Sequence[Callable[[], Any]]
    """The same on different data."""
    right: Callable[[Any], float]
    """The relative error of a result against float64."""
    plain: Sequence[Callable[[], Any]] = ()
    """What torch has for it, on the same data."""


Named = tuple[str, Callable[[], Case]]


def cases(shape: Shape, device: torch.device, dtype: torch.dtype, kinds: list[str], batch: int) -> Iterator[Named]:
    """Yields the operations of a denoise step of `batch` blocks: their names, and what makes their data."""
    rows = batch * BLOCK
    n_all = shape.n_heads + 2 * shape.n_kv_heads
    for kind in kinds:
        for name, height, width in (
            ("linear qkv", n_all * shape.head_dim, shape.d_model),
            ("linear down", shape.d_model, shape.d_ff),
            ("swiglu", 2 * shape.d_ff, shape.d_model),
            ("head_select", shape.vocab_size, shape.d_model),
        ):
            yield f"{name} {kind}", partial(_product, name, kind, rows, height, width, device, dtype)
    yield "add_rms_norm", partial(_norm, rows, shape.d_model, device, dtype)
    yield "block_attention", partial(_attention, shape, batch, device, dtype)
    for name in POLICIES:
        yield f"unmask {name}", partial(_unmask, name, batch, shape.vocab_size, device)


def tolerance_of(name: str, dtype: torch.dtype) -> float:
    """Returns the relative error that an operation may have."""
    return TOLERANCE_OF_FP8_SCORES if name == "head_select fp8" and dtype == torch.bfloat16 else TOLERANCE[dtype]


def checked(case: Case, tolerance: float) -> dict[str, float]:
    """Returns error, tolerance, and whether a second run gives the same bits."""
    found, again = case.runs[0](), case.runs[0]()
    same = all(torch.equal(a, b) for a, b in zip(_tensors(found), _tensors(again), strict=True))
    return {"error": case.right(found), "tolerance": tolerance, "repeats": float(same)}


def measured(case: Case, device: torch.device, bytes_per_second: float, tolerance: float) -> dict[str, float]:
    """Returns what is checked, microseconds, share of the floor, and the time of what torch has for it."""
    record = checked(case, tolerance)
    us = milliseconds(case.runs, device) * 1e3
    floor = case.n_bytes / bytes_per_second * 1e6
    record |= {"us": us, "floor_us": floor, "share_of_floor": floor / us}
    if case.plain:
        record["torch_us"] = milliseconds(case.plain, device) * 1e3
    return record


def _tensors(found: Any) -> list[Tensor]:
    if isinstance(found, Tensor):
        return [found]
    return [tensor for part in found if part is not None for tensor in _tensors(part)]


def relative(found: Tensor, expected: Tensor) -> float:
    """Returns the norm of the difference over the norm; NaN where either has NaN."""
    return float((found.double() - expected).norm() / expected.norm().clamp(min=1e-12))


def operands(
    kind: str, rows: int, height: int, width: int, device: torch.device, dtype: torch.dtype
) -> tuple[Activations, Tensor | Quantised]:
    """Returns random activations and a weight."""
    x = torch.randn(rows, width, device=device).to(dtype)
    weight = (torch.randn(height, width, device=device) * width**-0.5).to(dtype)
    if kind == "bf16":
        return x, weight
    packed = quantise(weight, "fp8" if kind == "fp8" else "int4" if kind == "int4" else "int8")
    return (reference.quantise_rows(x, packed.values.dtype) if kind in ("fp8", "int8") else x), packed


def exact(x: Activations | Quantised) -> Tensor:
    """Returns a tensor's values in float64."""
    if isinstance(x, Quantised):
        return dequantise(x, torch.float64)
    if isinstance(x, Rows):
        return x.values.double() * x.scale.double()
    assert isinstance(x, Tensor)
    return x.double()


def exact_product(x: Activations, weight: Tensor | Quantised) -> Tensor:
    """Returns x W^T in float64, a piece at a time: several processes share the memory of a GPU."""
    rows, pieces = exact(x), []
    for start in range(0, len(matrix_of(weight)), PIECE):
        here = slice(start, start + PIECE)
        piece = weight[here] if isinstance(weight, Tensor) else _rows_of(weight, here)
        pieces.append(rows @ exact(piece).T)
    return torch.cat(pieces, dim=1)


def _rows_of(weight: Quantised, here: slice) -> Quantised:
    offset = weight.offset[here] if weight.offset.numel() else weight.offset
    return Quantised(weight.values[here], weight.scale[here], offset)


def _product(
    name: str, kind: str, rows: int, height: int, width: int, device: torch.device, dtype: torch.dtype
) -> Case:
    n_bytes = height * width * KINDS[kind] / 8
    data = [operands(kind, rows, height, width, device, dtype) for _ in range(copies(n_bytes, device))]
    more = (dtype,) if name == "swiglu" else ()
    operation = "linear" if name.startswith("linear") else name

    def right(found: Any) -> float:
        scores = exact_product(*data[0])
        if operation == "head_select":
            return max(relative(a, b) for a, b in zip(found[1:], reference.select(scores)[1:], strict=True))
        if operation == "swiglu":
            gate, up = scores.chunk(2, dim=1)
            return relative(found, torch.nn.functional.silu(gate) * up)
        return relative(found.sum(0), scores)

    where = score_ops if operation == "head_select" else ops
    ours, plain = ([partial(getattr(of, operation), *pair, *more) for pair in data] for of in (where, reference))
    return Case(n_bytes, ours, right, plain)


def _norm(rows: int, width: int, device: torch.device, dtype: torch.dtype) -> Case:
    parts, stream = torch.randn(2, rows, width, device=device), torch.randn(rows, width, device=device)
    weight = torch.randn(width, device=device).to(dtype)

    def right(found: Any) -> float:
        return relative(found[0], reference.add_rms_norm(parts.double(), stream.double(), weight.double(), 1e-6)[0])

    ours, plain = ([partial(of.add_rms_norm, parts, stream, weight, 1e-6)] for of in (ops, reference))
    return Case(rows * width * (4 * 4 + dtype.itemsize), ours, right, plain)


def _attention(shape: Shape, batch: int, device: torch.device, dtype: torch.dtype) -> Case:
    context = CONTEXT if device.type == "cuda" else 128
    end = context + BLOCK
    n_bytes = batch * shape.cache_bytes(context) / shape.n_layers
    rows = torch.arange(batch, dtype=torch.int32, device=device)
    spans = AttentionMetadata(rows, torch.full_like(rows, context), torch.full_like(rows, BLOCK))
    size = (batch, shape.n_kv_heads, end + BLOCK, shape.head_dim)
    data = [[torch.randn(size, device=device).to(dtype) for _ in range(2)] for _ in range(copies(n_bytes, device))]
    q = torch.randn(batch, BLOCK, shape.n_heads, shape.head_dim, device=device).to(dtype)

    def right(found: Any) -> float:
        keys, values = (part.double() for part in data[0])
        return relative(found, reference.block_attention(q.double(), keys, values, spans, 0))

    def plain(keys: Tensor, values: Tensor) -> Tensor:
        seen = keys[:, :, :end], values[:, :, :end]
        return torch.nn.functional.scaled_dot_product_attention(q.transpose(1, 2), *seen, enable_gqa=True)

    ours = [partial(ops.block_attention, q, keys, values, spans) for keys, values in data]
    return Case(n_bytes, ours, right, [partial(plain, *pair) for pair in data])


def _unmask(name: str, batch: int, vocabulary: int, device: torch.device) -> Case:
    masked = torch.rand(batch, BLOCK, device=device) < 0.7
    masked[:, 0] = False
    tokens = torch.randint(0, vocabulary, (batch, BLOCK), device=device)
    confidence = torch.rand(batch, BLOCK, device=device)
    numbers = torch.zeros(batch, dtype=torch.int32, device=device)
    first = Blocks(tokens, tokens, masked, confidence, confidence, numbers, masked.any(1), numbers)
    found = Selection(torch.randint_like(tokens, vocabulary).flatten(), *torch.rand(2, batch * BLOCK, device=device))
    ends = torch.zeros(1, vocabulary, dtype=torch.bool, device=device)
    schedule = Schedule(POLICIES[name], PolicyOptions(), 8)

    def run(unmask_: Callable[..., None]) -> Blocks:
        now = Blocks(*(part.clone() for part in first))
        unmask_(now, found, True, schedule, ends)
        return now

    def right(done: Any) -> float:
        return float(any(not torch.equal(a, b) for a, b in zip(done, run(reference.unmask_), strict=True)))

    return Case(40.0 * batch * BLOCK, [partial(run, score_ops.unmask_)], right, [partial(run, reference.unmask_)])
