"""Correctness, ceilings, kernels, whole fills and peers on one device, in one command.

    python benchmarks/gpu/run.py [--out FILE] [--small] [--fast-dllm CHECKOUT] [--minutes 8]

On a GPU it runs the Triton kernels; without one the plain operations, in a small form that shows the command to work.
What the time does not suffice for is left out, and named. Writes JSON and a plot beside it.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "kernels")]

import fills
import peers
import single
import torch
from shapes import CONTEXT, SHAPES, Shape
from timing import elapsed, milliseconds

SMALL_CONTEXT, SMALL_BLOCK = 128, 16
PARTS = ("kernels", "models", "peers")
BATCHES = (1, 8, 32)
PRECISIONS = {"bfloat16": 16.0, "fp8": 8.0, "int8": 8.0, "int4": 4.5}


def ceilings(device: torch.device) -> dict[str, float]:
    """Bytes per second of a copy, both directions counted, and operations per second of a matrix product."""
    n = 1 << 30 if device.type == "cuda" else 1 << 24
    source = torch.empty(n, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    copy_ms = milliseconds([lambda: target.copy_(source)], device)
    side = 8192 if device.type == "cuda" else 512
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    product_ms = milliseconds([lambda: a @ b], device)
    return {"bytes_per_second": 2 * n / copy_ms * 1e3, "flops": 2 * side**3 / product_ms * 1e3}


def graph_gap_us(device: torch.device) -> float | None:
    """Microseconds from one small kernel of a graph to the next."""
    if device.type != "cuda":
        return None
    x = torch.zeros(1, device=device)
    graphs = []
    for count in (50, 250):
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            for _ in range(count):
                x.add_(1)
        graphs.append(elapsed(graph.replay))
    return (graphs[1] - graphs[0]) / 200 * 1e3


class Clock:
    """What is left of the time, and what was left out because of it."""

    def __init__(self, minutes: float) -> None:
        """Starts now."""
        self._end = time.monotonic() + 60 * minutes
        self.left_out: list[str] = []

    def allows(self, name: str) -> bool:
        """Returns whether there is time; notes the name where there is none."""
        if time.monotonic() < self._end:
            return True
        self.left_out.append(name)
        return False


def main() -> int:
    """Runs everything and writes the record; 1 when an operation is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/gpu.json")
    parser.add_argument("--small", action="store_true", help="tiny models and few repeats, as without a GPU")
    parser.add_argument("--fast-dllm", type=Path, help="a checkout of github.com/NVlabs/Fast-dLLM")
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    arguments = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    small = arguments.small or device.type == "cpu"
    clock = Clock(arguments.minutes)
    with torch.inference_mode():
        top = ceilings(device)
        record: dict[str, Any] = {"about": _about(device), "ceilings": top, "graph_gap_us": graph_gap_us(device)}
        parts = {
            "models": partial(_models, device, top, clock, small),
            "kernels": partial(_kernels, device, top, clock, small),
            "peers": partial(_peers, device, clock, small, arguments.fast_dllm),
        }
        for name in arguments.parts:
            record[name] = parts[name]()
            # a machine that is taken back leaves what was measured until then
            arguments.out.write_text(json.dumps({**record, "left_out": clock.left_out}, indent=1) + "\n", "utf-8")
    _plot(record, arguments.out.with_suffix(".png"))
    return _summary(record, clock.left_out)


def _summary(record: dict[str, Any], left_out: list[str]) -> int:
    """Prints what somebody wants to know at once; 1 when an operation is wrong or could not run."""
    kernels, models = record.get("kernels", {}), record.get("models", {})
    failed = [name for name, one in {**kernels, **models}.items() if "failed" in one]
    ran = {name: one for name, one in kernels.items() if name not in failed}
    wrong = [name for name, one in ran.items() if not one["error"] <= one["tolerance"] or not one["repeats"]]
    for name, one in ran.items():
        torch_us = one.get("torch_us", float("nan"))
        print(f"{name}: {one['us']:.1f} us, {one['share_of_floor']:.0%}, torch {torch_us:.1f} us")
    for name, one in models.items():
        if name not in failed:
            print(f"{name}: step {one['step_ms']:.3f} ms, {one['share_of_floor']:.0%} of the floor")
    print(json.dumps({"wrong": wrong, "failed": failed, "left_out": left_out, **record["ceilings"]}))
    return 1 if wrong or failed else 0


def _about(device: torch.device) -> dict[str, str]:
    about = {"date": datetime.now(UTC).date().isoformat(), "torch": torch.__version__, "machine": platform.processor()}
    if device.type == "cuda":
        import triton

        about |= {"gpu": torch.cuda.get_device_name(), "triton": triton.__version__}
    return about | {"device": device.type}


def _kernels(device: torch.device, top: dict[str, float], clock: Clock, small: bool) -> dict[str, Any]:
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    kinds = [kind for kind in single.KINDS if kind != "fp8" or _has_fp8(device)]
    found = {}
    for shape in (SHAPES["tiny"],) if small else (SHAPES["0.5B"], SHAPES["7B"]):
        for batch in (1,) if small else (1, 4):
            for case in single.cases(shape, device, dtype, kinds, batch):
                name = f"{shape.name} batch {batch}: {case.name}"
                if clock.allows(name):
                    measure = partial(single.measured, case, device, top["bytes_per_second"], single.TOLERANCE[dtype])
                    found[name] = _attempt(measure)
    return found


def _attempt(measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Returns what is measured, or why it could not be: one failure must not cost the rest of a lent machine's time."""
    try:
        return measure()
    except Exception as error:
        traceback.print_exc()
        return {"failed": f"{type(error).__name__}: {error}"[:300]}


def _has_fp8(device: torch.device) -> bool:
    return device.type == "cpu" or torch.cuda.get_device_capability(device) >= (8, 9)


def _models(device: torch.device, top: dict[str, float], clock: Clock, small: bool) -> dict[str, Any]:
    names = ("tiny", "embedded") if small else ("0.5B", "1.5B", "7B", "embedded")
    context, block = (SMALL_CONTEXT, SMALL_BLOCK) if small else (CONTEXT, single.BLOCK)
    found = {}
    for name in names:
        for precision, bits in PRECISIONS.items():
            for batch in (1, 2) if small else BATCHES:
                label = f"{name} {precision} batch {batch}"
                if (precision == "fp8" and not _has_fp8(device)) or not clock.allows(label):
                    continue
                # of eight bits on both sides the arithmetic is twice as fast
                flops = top["flops"] * (2 if precision in ("fp8", "int8") else 1)
                make = partial(fills.Bench, SHAPES[name], precision, batch, context, block, device)
                found[label] = _attempt(partial(_model, make, top["bytes_per_second"], flops, bits))
                _release(device)
    if not small and clock.allows("7B with 1,024 tokens of context more"):
        longer = partial(fills.longer_context, SHAPES["7B"], "bfloat16", device, block)
        found["7B bfloat16 batch 1"]["longer"] = _attempt(longer)
    return found


def _model(make: Callable[[], fills.Bench], bytes_per_second: float, flops: float, bits: float) -> dict[str, Any]:
    return fills.measured(make(), bytes_per_second, flops, bits)


def _peers(device: torch.device, clock: Clock, small: bool, fast_dllm: Path | None) -> dict[str, Any]:
    context, block = (SMALL_CONTEXT, SMALL_BLOCK) if small else (CONTEXT, single.BLOCK)
    found: dict[str, Any] = {}
    for name in ("tiny",) if small else ("0.5B", "7B"):
        shape: Shape = SHAPES[name]
        here = shape, context, block, device
        calls: dict[str, Callable[[], dict[str, float | str]]] = {
            "transformers": partial(peers.transformers_ms, *here, False),
            "flex attention, one layer": partial(peers.flex_attention_ms, *here),
        }
        if device.type == "cuda":
            calls["transformers, compiled"] = partial(peers.transformers_ms, *here, True)
        if fast_dllm:
            calls["Fast-dLLM"] = partial(peers.fast_dllm_ms, fast_dllm, *here)
        for label, call in calls.items():
            if clock.allows(f"{name}: {label}"):
                found[f"{name}: {label}"] = call()
                _release(device)
    return found


def _release(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.empty_cache()


def _plot(record: dict[str, Any], path: Path) -> None:
    """Shares of the floor, kernels and models."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    bars = {**record.get("kernels", {}), **record.get("models", {})}
    bars = {name: one for name, one in bars.items() if "failed" not in one}
    figure, axis = plt.subplots(figsize=(9, 0.22 * len(bars) + 1))
    axis.barh(list(bars), [100 * one["share_of_floor"] for one in bars.values()])
    axis.set_xlabel(f"% of the floor; {record['about'].get('gpu', 'CPU, small form: not the kernels')}")
    axis.tick_params(axis="y", labelsize=6)
    axis.invert_yaxis()
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    sys.exit(main())
