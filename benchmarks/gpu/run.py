"""Correctness, ceilings, kernels, whole fills and peers on one device, in one command.

    python benchmarks/gpu/run.py [--out FILE] [--small] [--minutes 8] [--parts PART...] [--tiles JSON]

On a GPU it runs the Triton kernels; without one the plain operations, in a small form that shows the command to work.
What the time does not suffice for is left out, and named. `rows` compares products with torch's by how many rows of
activations there are: what `ops.py` chooses by. `--tiles '{"attention": {"chunk": 512}}'` changes all entries of a
kernel (`*`: of all kernels) in the table of the device: whole passes with other tiles.
"""

from __future__ import annotations

import argparse
import contextlib
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
from unittest import mock

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "kernels")]

import catalogue
import fills
import isolated
import peers
import single
import torch
from shapes import SHAPES
from timing import elapsed, milliseconds

from coder_kernels import configs, dispatch, row_limits

PARTS = ("checks", "kernels", "models", "peers", "rows")
Record = dict[str, Any]
Found = Iterator[tuple[str, Record]]


class Machine:
    """The device, in which form it is measured, and what is left of the time."""

    def __init__(self, small: bool, minutes: float) -> None:
        """Starts the clock; without a GPU the form is the small one."""
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.small = small or self.device.type == "cpu"
        self.ceilings = ceilings(self.device)
        self.failed: set[str] = set()
        self.left_out: list[str] = []
        self._end = time.monotonic() + 60 * minutes

    def allows(self, name: str) -> bool:
        """Returns whether there is time for what has not failed; notes the name where there is none."""
        if name in self.failed:
            return False
        if time.monotonic() < self._end:
            return True
        self.left_out.append(name)
        return False


def ceilings(device: torch.device) -> dict[str, float]:
    """Bytes per second of a copy, both directions counted, and operations per second of a matrix product."""
    n = 1 << 28 if device.type == "cuda" else 1 << 22
    source = torch.ones(n, device=device)
    target = torch.empty_like(source)
    # a kernel: what a graph makes of `copy_` moves two thirds of it
    copy_ms = milliseconds([lambda: torch.neg(source, out=target)], device)
    side = 8192 if device.type == "cuda" else 512
    a, b = (torch.randn(side, side, device=device, dtype=catalogue.dtype_of(device)) for _ in range(2))
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


def change_tiles_(changes: dict[str, Record]) -> None:
    """Changes the table of this device, for this process."""
    if changes:
        for kernel, entries in configs.table(configs.architecture()).items():
            for entry in entries:
                entry.update(changes.get("*", {}), **changes.get(kernel, {}))
        configs.tile.cache_clear()


def check(small: bool, tiles: dict[str, Record], name: str) -> Record:
    """Returns whether an operation or a model is right; in a process of its own."""
    change_tiles_(tiles)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return catalogue.checks(device, small)[name]()


def compile_product(small: bool, name: str) -> Record:
    """Runs a product once, so that it is compiled; in a process of its own."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with always_kernels(device):
        return single.checked(dict(catalogue.products(device, small))[name](), catalogue.tolerance(name, device))


def always_kernels(device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """On a GPU every number of rows goes to the kernels, where torch's products are faster too."""
    if device.type == "cpu":
        return contextlib.nullcontext()
    from coder_kernels.gpu import kernels

    return mock.patch.object(dispatch, "gpu_kernels", return_value=kernels)


def main() -> int:
    """Runs everything and writes the record; 1 when an operation is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/gpu.json")
    parser.add_argument("--small", action="store_true", help="tiny models and few repeats, as without a GPU")
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS[:-1])
    parser.add_argument("--checked", type=Path, help="a record whose checks are taken over")
    parser.add_argument("--tiles", type=json.loads, default={}, help="JSON of changes to the table of tiles")
    arguments = parser.parse_args()
    with torch.inference_mode():
        return measure(arguments)


def measure(arguments: argparse.Namespace) -> int:
    """Does the parts that are asked for, and writes the record after each: a machine may be taken back."""
    change_tiles_(arguments.tiles)
    machine = Machine(arguments.small, arguments.minutes)
    record: Record = {"about": _about(machine.device), "ceilings": machine.ceilings}
    workers = 1 if machine.device.type == "cpu" else min(os.cpu_count() or 1, 14)
    if "checks" in arguments.parts:
        one = partial(check, machine.small, arguments.tiles)
        names = catalogue.checks(machine.device, machine.small)
        record["checks"] = isolated.results(names, one, workers, arguments.minutes)
        _write(record, arguments.out)
        machine = Machine(arguments.small, arguments.minutes)
    elif arguments.checked:
        record["checks"] = json.loads(arguments.checked.read_text("utf-8"))["checks"]
    machine.failed = {name for name, one in record.get("checks", {}).items() if "failed" in one}
    record["graph_gap_us"] = graph_gap_us(machine.device)
    parts: dict[str, Callable[[Machine], Found]] = {
        "kernels": _kernels,
        "models": _models,
        "peers": _peers,
        "rows": partial(_rows, workers=workers),
    }
    for name, part in parts.items():
        if name in arguments.parts:
            record[name] = {}
            for label, found in part(machine):
                record[name][label] = found
                _write({**record, "left_out": machine.left_out}, arguments.out)
                if machine.device.type == "cuda":
                    torch.cuda.empty_cache()
    _write({**record, "left_out": machine.left_out}, arguments.out)
    return _summary(record, machine.left_out)


def _write(record: Record, out: Path) -> None:
    out.write_text(json.dumps(record, indent=1) + "\n", "utf-8")


def _summary(record: Record, left_out: list[str]) -> int:
    """Prints what somebody wants to know at once; 1 when an operation is wrong or could not run."""
    checked = {**record.get("kernels", {}), **record.get("checks", {})}
    timed = {**checked, **record.get("models", {}), **record.get("rows", {})}
    failed = {name: one["failed"] for name, one in timed.items() if "failed" in one}
    wrong = {
        name: one["error"]
        for name, one in checked.items()
        if name not in failed and (not one["error"] <= one["tolerance"] or not one["repeats"])
    }
    for name, one in timed.items():
        figures = {key: f"{value:.4g}" for key, value in one.items() if isinstance(value, float)}
        print(name, *(f"{key} {value}" for key, value in figures.items()))
    print(json.dumps({"wrong": wrong, "failed": failed, "left_out": left_out, **record["ceilings"]}, indent=1))
    return 1 if wrong or failed else 0


def _about(device: torch.device) -> dict[str, str]:
    about = {"date": datetime.now(UTC).date().isoformat(), "torch": torch.__version__, "machine": platform.processor()}
    if device.type == "cuda":
        import triton

        about |= {"gpu": torch.cuda.get_device_name(), "triton": triton.__version__}
    return about | {"device": device.type}


def _kernels(machine: Machine) -> Found:
    for name, make in catalogue.kernels(machine.device, machine.small):
        if machine.allows(name):
            yield name, isolated.attempt(partial(_kernel, name, make, machine))


def _kernel(name: str, make: Callable[[], single.Case], machine: Machine) -> Record:
    tolerance, speed = catalogue.tolerance(name, machine.device), machine.ceilings["bytes_per_second"]
    return single.measured(make(), machine.device, speed, tolerance)


def _models(machine: Machine) -> Found:
    for model in catalogue.models(machine.device, machine.small):
        if machine.allows(model.name):
            yield model.name, isolated.attempt(partial(_model, model, machine))
    longer = "7B bfloat16 with 1,024 tokens of context more"
    if not machine.small and machine.allows(longer):
        yield (
            longer,
            isolated.attempt(partial(fills.longer_context, SHAPES["7B"], "bfloat16", machine.device, single.BLOCK)),
        )


def _model(model: catalogue.Model, machine: Machine) -> Record:
    # of eight bits on both sides the arithmetic is twice as fast
    flops = machine.ceilings["flops"] * (2 if model.precision in ("fp8", "int8") else 1)
    bench = model.bench(machine.device, machine.small)
    return fills.measured(bench, machine.ceilings["bytes_per_second"], flops, catalogue.PRECISIONS[model.precision])


def _peers(machine: Machine) -> Found:
    for name in ("tiny",) if machine.small else ("0.5B", "7B"):
        here = SHAPES[name], *catalogue.sizes(machine.small), machine.device
        calls: dict[str, Callable[[], Record]] = {
            "transformers": partial(peers.transformers_ms, *here, False),
            "flex attention, one layer": partial(peers.flex_attention_ms, *here),
        }
        if machine.device.type == "cuda":
            calls["transformers, compiled"] = partial(peers.transformers_ms, *here, True)
        for label, call in calls.items():
            if machine.allows(f"{name}: {label}"):
                yield f"{name}: {label}", isolated.attempt(call)


def _rows(machine: Machine, workers: int) -> Found:
    products = dict(catalogue.products(machine.device, machine.small))
    # more rows than a tile has need no other kernel
    first = [name for name in products if int(name.split()[1]) <= row_limits.FEW_ROWS]
    isolated.results(first, partial(compile_product, machine.small), workers, 1.0)
    with always_kernels(machine.device):
        for name, make in products.items():
            if machine.allows(name):
                yield name, isolated.attempt(partial(_product, make, machine))


def _product(make: Callable[[], single.Case], machine: Machine) -> Record:
    case = make()
    ways = {"us": case.runs, "torch_us": case.plain}
    return {name: milliseconds(runs, machine.device) * 1e3 for name, runs in ways.items()}


if __name__ == "__main__":
    sys.exit(main())
