"""Correctness, ceilings, kernels, whole fills and peers on one device, in one command.

    python benchmarks/gpu/run.py [--out FILE] [--small] [--fast-dllm CHECKOUT] [--minutes 8] [--parts PART...]

On a GPU it runs the Triton kernels; without one the plain operations, in a small form that shows the command to work.
What the time does not suffice for is left out, and named. Writes JSON and a plot beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "kernels")]

import catalogue
import fills
import isolated
import peers
import single
import timing
import torch
from shapes import SHAPES, Shape
from timing import elapsed, milliseconds

PARTS = ("checks", "kernels", "models", "peers")


def ceilings(device: torch.device) -> dict[str, float]:
    """Bytes per second of a copy, both directions counted, and operations per second of a matrix product."""
    n = 1 << 28 if device.type == "cuda" else 1 << 22
    source = torch.ones(n, device=device)
    target = torch.empty_like(source)
    # a kernel: what a graph makes of `copy_` moves two thirds of it
    copy_ms = milliseconds([lambda: torch.neg(source, out=target)], device)
    side = 8192 if device.type == "cuda" else 512
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    product_ms = milliseconds([lambda: a @ b], device)
    return {"bytes_per_second": 8 * n / copy_ms * 1e3, "flops": 2 * side**3 / product_ms * 1e3}


def graph_gap_us(device: torch.device) -> float | None:
    """Microseconds from one small kernel of a graph to the next."""
    if device.type != "cuda":
        return None
    x = torch.zeros(1, device=device)
    x.add_(1)
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
    parser.add_argument("--checked", type=Path, help="a record whose checks are taken over")
    parser.add_argument("--serve", action="store_true", help="do the checks that are named on the standard input")
    arguments = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    small = arguments.small or device.type == "cpu"
    if arguments.serve:
        timing.TOO_LARGE_TO_STAY = 0
        with torch.inference_mode():
            isolated.serve(catalogue.checks(device, small), device)
        return 0
    with torch.inference_mode():
        return _measure(arguments, device, small)


def _measure(arguments: argparse.Namespace, device: torch.device, small: bool) -> int:
    """Does the parts that are asked for, and writes the record after each: a machine may be taken back."""
    record: dict[str, Any] = {"about": _about(device)}
    if "checks" in arguments.parts:
        record["checks"] = _checks(device, small, arguments.minutes)
        _write(record, arguments.out)
    elif arguments.checked:
        record["checks"] = json.loads(arguments.checked.read_text("utf-8"))["checks"]
    failed = {name for name, one in record.get("checks", {}).items() if "failed" in one}
    clock = Clock(arguments.minutes)
    top = record["ceilings"] = ceilings(device)
    record["graph_gap_us"] = graph_gap_us(device)
    parts = {
        "kernels": partial(_kernels, device, top, clock, small, failed),
        "models": partial(_models, device, top, clock, small, failed),
        "peers": partial(_peers, device, clock, small, arguments.fast_dllm),
    }
    for name, part in parts.items():
        if name in arguments.parts:
            record[name] = {}
            for label, one in part():
                record[name][label] = one
                _write({**record, "left_out": clock.left_out}, arguments.out)
    status = _summary(record, clock.left_out)
    _plot(record, arguments.out.with_suffix(".png"))
    return status


def _write(record: dict[str, Any], out: Path) -> None:
    out.write_text(json.dumps(record, indent=1) + "\n", "utf-8")


def _summary(record: dict[str, Any], left_out: list[str]) -> int:
    """Prints what somebody wants to know at once; 1 when an operation is wrong or could not run."""
    kernels, models = record.get("kernels", {}), record.get("models", {})
    checked = {**kernels, **record.get("checks", {})}
    failed = {name: one["failed"] for name, one in {**checked, **models}.items() if "failed" in one}
    wrong = {
        name: one["error"]
        for name, one in checked.items()
        if name not in failed and (not one["error"] <= one["tolerance"] or not one["repeats"])
    }
    for name, one in kernels.items():
        if name not in failed:
            print(f"{name}: {one['us']:.1f} us, {one['share_of_floor']:.0%}, torch {one.get('torch_us', 0.0):.1f} us")
    for name, one in models.items():
        if name not in failed:
            print(f"{name}: step {one['step_ms']:.3f} ms, {one['share_of_floor']:.0%} of the floor")
    print(json.dumps({"wrong": wrong, "failed": failed, "left_out": left_out, **record["ceilings"]}, indent=1))
    return 1 if wrong or failed else 0


def _about(device: torch.device) -> dict[str, str]:
    about = {"date": datetime.now(UTC).date().isoformat(), "torch": torch.__version__, "machine": platform.processor()}
    if device.type == "cuda":
        import triton

        about |= {"gpu": torch.cuda.get_device_name(), "triton": triton.__version__}
    return about | {"device": device.type}


def _checks(device: torch.device, small: bool, minutes: float) -> dict[str, dict[str, Any]]:
    names = list(catalogue.checks(device, small))
    command = [sys.executable, str(Path(__file__)), "--serve", *(["--small"] if small else [])]
    workers = 1 if device.type == "cpu" else min(os.cpu_count() or 1, 14)
    return isolated.results(names, command, workers, minutes)


Found = Iterator[tuple[str, dict[str, Any]]]


def _kernels(device: torch.device, top: dict[str, float], clock: Clock, small: bool, failed: set[str]) -> Found:
    for name, make in catalogue.kernels(device, small):
        if name not in failed and clock.allows(name):
            tolerance = single.tolerance_of(name.partition(": ")[2], catalogue.dtype_of(device))
            yield name, isolated.attempt(partial(_kernel, make, device, top["bytes_per_second"], tolerance))


def _kernel(
    make: Callable[[], single.Case], device: torch.device, bytes_per_second: float, tolerance: float
) -> dict[str, Any]:
    return single.measured(make(), device, bytes_per_second, tolerance)


def _models(device: torch.device, top: dict[str, float], clock: Clock, small: bool, failed: set[str]) -> Found:
    for model in catalogue.models(device, small):
        if model.name not in failed and clock.allows(model.name):
            yield model.name, isolated.attempt(partial(_model, model, device, top, small))
            _release(device)
    if not small and clock.allows("7B with 1,024 tokens of context more"):
        longer = partial(fills.longer_context, SHAPES["7B"], "bfloat16", device, single.BLOCK)
        yield "7B bfloat16 with 1,024 tokens of context more", isolated.attempt(longer)


def _model(model: catalogue.Model, device: torch.device, top: dict[str, float], small: bool) -> dict[str, Any]:
    # of eight bits on both sides the arithmetic is twice as fast
    flops = top["flops"] * (2 if model.precision in ("fp8", "int8") else 1)
    bench = model.bench(device, small)
    return fills.measured(bench, top["bytes_per_second"], flops, catalogue.PRECISIONS[model.precision])


def _peers(device: torch.device, clock: Clock, small: bool, fast_dllm: Path | None) -> Found:
    for name in ("tiny",) if small else ("0.5B", "7B"):
        shape: Shape = SHAPES[name]
        here = shape, *catalogue.sizes(small), device
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
                yield f"{name}: {label}", call()
                _release(device)


def _release(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.empty_cache()


def _plot(record: dict[str, Any], path: Path) -> None:
    """Shares of the floor, kernels and models."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    bars = {**record.get("kernels", {}), **record.get("models", {})}
    bars = {name: one for name, one in bars.items() if "share_of_floor" in one}
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
