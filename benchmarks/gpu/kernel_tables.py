"""The tables of `docs/kernels-measured.md`, each a function of the results."""

from __future__ import annotations

from records import Column, Figures, load, markdown, table
from shapes import CONTEXT, SHAPES, Shape

COPY, MULTIPLY = 4.3e12, 790e12
"""Bytes and operations per second of an H200: `kernels` research, section 3."""
BLOCK = 32
BITS = {"bf16": 16.0, "fp8": 8.0, "int4": 4.5}


def floors() -> str:
    """One row per shape and batch: microseconds, and tokens per second at four tokens a step."""
    rows = []
    for name in ("0.5B", "1.5B", "7B"):
        for batch in (1, 4, 32):
            times = [floor(SHAPES[name], batch, bits) for bits in BITS.values()]
            best = " / ".join(f"{batch * 4 / time:,.0f}" for time in times)
            rows.append([name, str(batch), *(f"{time * 1e6:,.0f}" for time in times), best])
    return markdown(["model", "batch", *(f"{kind}, µs" for kind in BITS), "tokens per second at 4 a step"], rows)


def floor(shape: Shape, batch: int, bits: float) -> float:
    """Seconds that a step needs at least: what it reads, and what it multiplies."""
    memory = (shape.weight_bytes(bits) + batch * shape.cache_bytes(CONTEXT)) / COPY
    return max(memory, shape.step_flops(batch * BLOCK) / (MULTIPLY * (2 if bits == 8 else 1)))


def steps() -> str:
    """One row per model and batch: milliseconds of a step, of reading a context, and a fill's tokens per second."""
    found = load("gpu")
    rows = []
    for name, one in found["models"].items():
        model, _, batch = name.partition(" batch ")
        shape, kind = model.split()
        later = found["models_after"].get(name, {})
        (fill,) = (fill for fill in one["fills"] if fill["tokens_per_step"] == fill["sync_interval"] == 4)
        figures = {"batch": batch, "model": model, "tokens": fill["tokens_per_second"]}
        figures["floor_ms"] = floor(SHAPES[shape], int(batch), {"bfloat16": 16.0, "int4": 4.5}.get(kind, 8.0)) * 1e3
        for figure in ("step_ms", "prefill_ms"):
            figures |= {figure: one[figure], f"later_{figure}": f"{later[figure]:.2f}" if later else ""}
        rows.append((model, figures))
    columns: dict[str, Column] = {
        "model": "{model}",
        "batch": "{batch}",
        "step, ms": "{step_ms:.2f}",
        "step now, ms": "{later_step_ms}",
        "floor": "{floor_ms:.2f}",
        "2,048 tokens read, ms": "{prefill_ms:.2f}",
        "read now, ms": "{later_prefill_ms}",
        "tokens per second at 4 a step": "{tokens:,.0f}",
    }
    return f"{_where(found)}:\n\n{table(rows, columns)}"


def operations() -> str:
    """One row per operation: microseconds of ours and torch's, at 32 and 128 rows."""
    found = load("gpu")
    sizes = ("0.5B batch 1", "0.5B batch 4", "7B batch 1", "7B batch 4")
    rows = []
    for name in dict.fromkeys(name.partition(": ")[2] for name in found["kernels"]):
        ones = {size: found["kernels"][f"{size}: {name}"] for size in sizes}
        large = ones["7B batch 1"]
        moved = large["floor_us"] * found["ceilings"]["bytes_per_second"] / large["us"] / 1e12
        times = (f"{one['us']:.1f} / {one['torch_us']:.1f}" for one in ones.values())
        rows.append([name, *times, f"{moved:.2f}"])
    return f"{_where(found)}:\n\n" + markdown(["operation, µs of ours / torch's", *sizes, "TB/s, 7B batch 1"], rows)


def by_rows() -> str:
    """One row per product and format: ours over torch's time, by how many rows of activations there are."""
    products = load("gpu")["rows"]
    ratios: dict[tuple[str, str], dict[int, str]] = {}
    for name, one in products.items():
        shape, count, _, product = name.split(" ", 3)
        ratios.setdefault((shape, product), {})[int(count)] = f"{one['us'] / one['torch_us']:.2f}"
    heads = ["shape", "product", *(f"{count} rows" for count in next(iter(ratios.values())))]
    return markdown(heads, [[*key, *row.values()] for key, row in sorted(ratios.items(), key=lambda one: one[0][0])])


def _where(found: Figures) -> str:
    about = found["about"]
    return f"{about['gpu']}, torch {about['torch']}, Triton {about['triton']}, {about['date']}"


def ahead() -> str:
    """One row per kernel at 32 rows of the 7B shape, for sm_90."""
    found, start = load("ahead-of-time"), "sm_90 7B 32 "
    rows = [(name.removeprefix(start), one) for name, one in found["kernels"].items() if name.startswith(start)]
    columns: dict[str, Column] = {
        "operation": lambda name, _: name.partition(": ")[0],
        "kernel": lambda name, _: f"`{name.partition(': ')[2]}`",
        "registers": "{registers}",
        "spilled, bytes": "{spilled_bytes}",
        "shared, KiB": lambda _, one: str(round(one["shared_bytes"] / 1024)),
        "matrix instruction": lambda _, one: one["matrix"] or "-",
    }
    spilled = sum(bool(one["spilled_bytes"]) for one in found["kernels"].values())
    title = f"sm_90, 32 rows, the 7B shape, Triton {found['triton']}; of all {len(found['kernels'])} {spilled} spill:"
    return f"{title}\n\n{table(rows, columns)}"


def processor() -> str:
    """One row per way of computing a pass on a CPU."""
    found = load("processor")
    passes = found["passes"]
    names = [name for name in next(iter(passes.values())) if all(name in one for one in passes.values())]
    rows = [[name, *(_time(one[name]) for one in passes.values())] for name in names]
    return markdown([f"{found['threads']} threads, torch {found['torch']}", *passes], rows)


def _time(one: dict[str, float]) -> str:
    return f"{one['ms']:.1f} ms, {one['ratio']:.2f}" if one else "absent"
