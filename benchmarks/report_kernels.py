"""Puts the tables of `docs/kernels.md` between their marks: floors, compiled kernels, ways of a CPU.

.venv/bin/python benchmarks/report_kernels.py
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent / "gpu"))

from shapes import CONTEXT, SHAPES, Shape
from tables import DOCS, between, load, table

COPY, MULTIPLY = 4.3e12, 790e12
"""Bytes and operations per second of an H200: `kernels` research, section 3."""
BLOCK = 32
BITS = {"bf16": 16.0, "fp8": 8.0, "int4": 4.5}


def main() -> None:
    """Writes the page."""
    between(
        DOCS / "kernels.md",
        {
            "floor": floors(),
            "steps": steps(load("gpu.json")),
            "kernels": kernels(load("gpu.json")),
            "rows": by_rows(load("gpu.json")),
            "ahead": ahead(load("ahead-of-time.json")),
            "processor": processor(load("processor.json")),
        },
    )


def floors() -> str:
    """One row per shape: microseconds, and tokens per second at four tokens a step."""
    rows = []
    for name in ("0.5B", "1.5B", "7B"):
        for batch in (1, 4, 32):
            times = {kind: _floor(SHAPES[name], batch, bits) for kind, bits in BITS.items()}
            best = [f"{batch * 4 / time:,.0f}" for time in times.values()]
            rows.append([name, str(batch), *(f"{time * 1e6:,.0f}" for time in times.values()), " / ".join(best)])
    heads = ["model", "batch", *(f"{kind}, µs" for kind in BITS), "tokens per second at 4 a step"]
    return table(heads, rows)


def _floor(shape: Shape, batch: int, bits: float) -> float:
    memory = (shape.weight_bytes(bits) + batch * shape.cache_bytes(CONTEXT)) / COPY
    return max(memory, shape.step_flops(batch * BLOCK) / (MULTIPLY * (2 if bits == 8 else 1)))


def steps(found: dict[str, Any]) -> str:
    """One row per model and batch: milliseconds of a step, of a fill, of reading a context."""
    rows = []
    for name, one in found["models"].items():
        model, _, batch = name.partition(" batch ")
        shape, kind = model.split()
        bits = {"bfloat16": 16.0, "int4": 4.5}.get(kind, 8.0)
        now = found["models_after"].get(name, {})
        fill = next(fill for fill in one["fills"] if fill["tokens_per_step"] == 4 and fill["sync_interval"] == 4)
        times = [f"{part[time]:.2f}" if part else "" for time in ("step_ms", "prefill_ms") for part in (one, now)]
        floor = f"{_floor(SHAPES[shape], int(batch), bits) * 1e3:.2f}"
        rows.append([model, batch, *times[:2], floor, *times[2:], f"{fill['tokens_per_second']:,.0f}"])
    heads = [
        "model",
        "batch",
        "step, ms",
        "now",
        "floor",
        "2,048 tokens read, ms",
        "now",
        "tokens per second at 4 a step",
    ]
    return f"{_about(found)}:\n\n{table(heads, rows)}"


def kernels(found: dict[str, Any]) -> str:
    """One row per operation: microseconds of ours and torch's, at 32 and 128 rows."""
    sizes = ["0.5B batch 1", "0.5B batch 4", "7B batch 1", "7B batch 4"]
    names = dict.fromkeys(name.partition(": ")[2] for name in found["kernels"])
    rows = []
    for name in names:
        ones = [found["kernels"][f"{size}: {name}"] for size in sizes]
        largest = ones[2]
        moved = largest["floor_us"] * found["ceilings"]["bytes_per_second"] / largest["us"] / 1e12
        rows.append([name, *(f"{one['us']:.1f} / {one['torch_us']:.1f}" for one in ones), f"{moved:.2f}"])
    heads = ["operation, µs of ours / torch's", *(f"{size}" for size in sizes), "TB/s, 7B batch 1"]
    return f"{_about(found)}:\n\n{table(heads, rows)}"


def by_rows(found: dict[str, Any]) -> str:
    """One row per product and format: ours over torch's time, by how many rows of activations there are."""
    products = found["products_by_rows"]
    counts = sorted({int(name.split()[1]) for name in products})
    rows = []
    for shape in ("0.5B", "7B"):
        for name in dict.fromkeys(name.partition(": ")[2] for name in products):
            ones = [products[f"{shape} {count} rows: {name}"] for count in counts]
            rows.append([shape, name, *(f"{one['us'] / one['torch_us']:.2f}" for one in ones)])
    return table(["shape", "product", *(f"{count} rows" for count in counts)], rows)


def _about(found: dict[str, Any]) -> str:
    about = found["about"]
    return f"{about['gpu']}, torch {about['torch']}, Triton {about['triton']}, {about['date']}"


def ahead(found: dict[str, Any]) -> str:
    """One row per kernel at 32 rows of the 7B shape, for sm_90."""
    rows = []
    for name, made in found["kernels"].items():
        where, _, what = name.partition(": ")
        sm, shape, n_rows, label = where.split(" ", 3)
        if (sm, shape, n_rows) == ("sm_90", "7B", "32"):
            figures = made["registers"], made["spilled_bytes"], round(made["shared_bytes"] / 1024)
            rows.append([label, f"`{what}`", *map(str, figures), made["matrix"] or "-"])
    heads = ["operation", "kernel", "registers", "spilled, bytes", "shared, KiB", "matrix instruction"]
    spilled = sum(bool(made["spilled_bytes"]) for made in found["kernels"].values())
    title = f"sm_90, 32 rows, the 7B shape, Triton {found['triton']}; of all {len(found['kernels'])} {spilled} spill:"
    return f"{title}\n\n{table(heads, rows)}"


def processor(found: dict[str, Any]) -> str:
    """One row per way."""
    passes = found["passes"]
    names = [name for name in next(iter(passes.values())) if all(name in one for one in passes.values())]
    rows = [[name, *(_time(one[name]) for one in passes.values())] for name in names]
    return table([f"{found['threads']} threads, torch {found['torch']}", *passes], rows)


def _time(one: dict[str, float]) -> str:
    return f"{one['ms']:.1f} ms, {one['ratio']:.2f}" if one else "absent"


if __name__ == "__main__":
    main()
