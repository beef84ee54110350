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
