"""Each operation alone: is it right, and how near is it to the floor that the memory sets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from shapes import CONTEXT, Shape
from timing import copies, milliseconds
from torch import Tensor

from coder_kernels import ops, reference
from coder_kernels.policies import POLICIES, PolicyOptions, Schedule
from coder_kernels.quantise import Quantised, dequantise, quantise
from coder_kernels.shapes import Activations, Blocks, Rows, Selection, Spans, Weight

BLOCK = 32
KINDS = {"bf16": 16.0, "fp8": 8.0, "int8": 8.0, "int8 weights": 8.0, "int4": 4.5}
"""Bits of a weight, scales counted."""
TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 8e-3}


@dataclass(frozen=True, slots=True)
class Case:
    """An operation at a shape."""

    name: str
    n_bytes: float
    """What it must move at least."""
    runs: list[Callable[[], Any]]
    """The same on different data."""
    right: Callable[[Any], float]
    """The relative error of a result against float64."""
    plain: Callable[[], Any] | None = None
    """What torch has for it."""


def cases(shape: Shape, device: torch.device, dtype: torch.dtype, kinds: list[str], batch: int) -> Iterator[Case]:
    """Yields the operations of a denoise step of `batch` blocks."""
    rows = batch * BLOCK
    n_all = shape.n_heads + 2 * shape.n_kv_heads
    for kind in kinds:
        for name, height, width in (
            ("linear qkv", n_all * shape.head_dim, shape.d_model),
            ("linear down", shape.d_model, shape.d_ff),
            ("swiglu", 2 * shape.d_ff, shape.d_model),
            ("head_select", shape.vocab_size, shape.d_model),
        ):
            yield _product(name, kind, rows, height, width, device, dtype)
    yield _norm(rows, shape.d_model, device, dtype)
    yield _attention(shape, batch, device, dtype)
    yield from _unmask(batch, shape.vocab_size, device)


def measured(case: Case, device: torch.device, bytes_per_second: float, tolerance: float) -> dict[str, float]:
    """Returns error, tolerance, microseconds, share of the floor, and the time of what torch has for it."""
    found = case.runs[0]()
    again = case.runs[0]()
    us = milliseconds(case.runs, device) * 1e3
    floor = case.n_bytes / bytes_per_second * 1e6
    error = case.right(found)
    record = {"error": error, "tolerance": tolerance, "us": us, "floor_us": floor, "share_of_floor": floor / us}
    record["repeats"] = float(all(torch.equal(a, b) for a, b in zip(_tensors(found), _tensors(again), strict=True)))
    if case.plain:
        record["torch_us"] = milliseconds([case.plain], device) * 1e3
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
) -> tuple[Activations, Weight]:
    """Returns random activations and a weight."""
    x = torch.randn(rows, width, device=device).to(dtype)
    weight = (torch.randn(height, width, device=device) * width**-0.5).to(dtype)
    if kind == "bf16":
        return x, weight
    packed = quantise(weight, "fp8" if kind == "fp8" else "int4" if kind == "int4" else "int8")
    return (reference.quantise_rows(x, packed.values.dtype) if kind in ("fp8", "int8") else x), packed


def exact(x: Activations | Weight) -> Tensor:
    """Returns a tensor's values in float64."""
    if isinstance(x, Quantised):
        return dequantise(x, torch.float64)
    return x.values.double() * x.scale.double() if isinstance(x, Rows) else x.double()


def _product(
    name: str, kind: str, rows: int, height: int, width: int, device: torch.device, dtype: torch.dtype
) -> Case:
    n_bytes = height * width * KINDS[kind] / 8
    data = [operands(kind, rows, height, width, device, dtype) for _ in range(copies(n_bytes, device))]
    x, weight = data[0]
    plain: Callable[[], Any] | None = None
    if name == "head_select":
        runs: list[Callable[[], Any]] = [lambda p=pair: ops.head_select(*p) for pair in data]  # type: ignore[misc]

        def right(found: Any) -> float:
            expected = reference.select(exact(x) @ exact(weight).T)
            return max(relative(a, b) for a, b in zip(found[1:], expected[1:], strict=True))
    elif name == "swiglu":
        runs = [lambda p=pair: ops.swiglu(p[0], p[1], dtype) for pair in data]  # type: ignore[misc]

        def right(found: Any) -> float:
            return relative(found, reference.swiglu(exact(x), exact(weight), torch.float64))
    else:
        runs = [lambda p=pair: ops.linear(*p) for pair in data]  # type: ignore[misc]

        def right(found: Any) -> float:
            return relative(found.sum(0), exact(x) @ exact(weight).T)

    if kind == "bf16":
        how = {
            "head_select": lambda: reference.select(torch.nn.functional.linear(x, weight)),  # type: ignore[arg-type]
            "swiglu": lambda: reference.swiglu(x, weight, dtype),
        }
        plain = how.get(name, lambda: torch.nn.functional.linear(x, weight))  # type: ignore[arg-type]
    return Case(f"{name} {kind}", n_bytes, runs, right, plain)


def _norm(rows: int, width: int, device: torch.device, dtype: torch.dtype) -> Case:
    parts, stream = torch.randn(2, rows, width, device=device), torch.randn(rows, width, device=device)
    weight = torch.randn(width, device=device).to(dtype)

    def right(found: Any) -> float:
        return relative(found[0], reference.add_rms_norm(parts.double(), stream.double(), weight.double(), 1e-6)[0])

    return Case(
        "add_rms_norm",
        rows * width * (4 * 4 + dtype.itemsize),
        [lambda: ops.add_rms_norm(parts, stream, weight, 1e-6)],
        right,
        lambda: reference.add_rms_norm(parts, stream, weight, 1e-6),
    )


def _attention(shape: Shape, batch: int, device: torch.device, dtype: torch.dtype) -> Case:
    context = CONTEXT if device.type == "cuda" else 128
    n_bytes = batch * shape.cache_bytes(context) / shape.n_layers
    spans = Spans(
        torch.arange(batch, dtype=torch.int32, device=device),
        torch.full((batch,), context, dtype=torch.int32, device=device),
        torch.full((batch,), BLOCK, dtype=torch.int32, device=device),
    )
    size = (batch, shape.n_kv_heads, context + 2 * BLOCK, shape.head_dim)
    data = [[torch.randn(size, device=device).to(dtype) for _ in range(2)] for _ in range(copies(n_bytes, device))]
    q = torch.randn(batch, BLOCK, shape.n_heads, shape.head_dim, device=device).to(dtype)
    keys, values = data[0]

    def right(found: Any) -> float:
        return relative(found, reference.block_attention(q.double(), keys.double(), values.double(), spans, 0, 0))

    def plain() -> Tensor:
        end = context + BLOCK
        return torch.nn.functional.scaled_dot_product_attention(
            q.transpose(1, 2), keys[:, :, :end], values[:, :, :end], enable_gqa=True
        )

    runs: list[Callable[[], Any]] = [
        lambda k=pair[0], v=pair[1]: ops.block_attention(q, k, v, spans)  # type: ignore[misc]
        for pair in data
    ]
    return Case("block_attention", n_bytes, runs, right, plain)


def _unmask(batch: int, vocabulary: int, device: torch.device) -> Iterator[Case]:
    def blocks() -> Blocks:
        masked = torch.rand(batch, BLOCK, device=device) < 0.7
        masked[:, 0] = False
        tokens = torch.randint(0, vocabulary, (batch, BLOCK), device=device)
        confidence = torch.rand(batch, BLOCK, device=device)
        numbers = torch.zeros(batch, dtype=torch.int32, device=device)
        return Blocks(
            tokens, tokens.clone(), masked, confidence, confidence.clone(), numbers, masked.any(1), numbers.clone()
        )

    found = Selection(
        torch.randint(0, vocabulary, (batch * BLOCK,), device=device),
        *(torch.rand(batch * BLOCK, device=device) for _ in range(3)),
    )
    ends = torch.zeros(1, vocabulary, dtype=torch.bool, device=device)
    for name, policy in POLICIES.items():
        first = blocks()
        schedule = Schedule(policy, PolicyOptions(), 8)

        def run(first: Blocks = first, schedule: Schedule = schedule) -> Blocks:
            now = Blocks(*(part.clone() for part in first))
            ops.unmask_(now, found, True, schedule, ends)
            return now

        def right(done: Any, first: Blocks = first, schedule: Schedule = schedule) -> float:
            expected = Blocks(*(part.clone() for part in first))
            reference.unmask_(expected, found, True, schedule, ends)
            return float(any(not torch.equal(a, b) for a, b in zip(done, expected, strict=True)))

        yield Case(f"unmask {name}", 40.0 * batch * BLOCK, [run], right)
