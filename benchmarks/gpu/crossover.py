"""From how many rows on torch's products are faster than the kernels: what `ops.py` chooses by.

python benchmarks/gpu/crossover.py --out FILE [--minutes 1] [--compile]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "kernels")]

import isolated
import single
import timing
import torch
from shapes import SHAPES

from coder_kernels import ops, row_limits
from coder_kernels.gpu import kernels

BATCHES = (1, 2, 4, 8, 16)
"""Blocks of 32 rows."""
KINDS = ["bf16", "fp8", "int8"]
LIKE = ("linear qkv", "linear down", "swiglu")
WORKERS = 6


def cases(device: torch.device) -> dict[str, Callable[[], single.Case]]:
    """Returns products at all sizes, those with few rows first."""
    return {
        f"{name} {batch * single.BLOCK} rows: {case}": make
        for batch in BATCHES
        for name in ("0.5B", "7B")
        for case, make in single.cases(SHAPES[name], device, torch.bfloat16, KINDS, batch)
        if case.startswith(LIKE)
    }


def once(make: Callable[[], single.Case]) -> dict[str, Any]:
    """Runs a product once, so that it is compiled."""
    return single.checked(make(), single.TOLERANCE[torch.bfloat16])


def measured(make: Callable[[], single.Case], device: torch.device) -> dict[str, Any]:
    """Returns the microseconds of the kernels and of torch."""
    case = make()
    ways = {"us": case.runs, "torch_us": case.plain}
    return {name: timing.milliseconds(runs, device) * 1e3 for name, runs in ways.items()}


def main() -> int:
    """Compiles in processes of their own, then measures alone."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--minutes", type=float, default=1.0, help="to compile in")
    parser.add_argument("--compile", action="store_true", help="that alone")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    device = torch.device("cuda")
    # every number of rows goes to the kernels
    with torch.inference_mode(), mock.patch.object(ops, "_gpu", return_value=kernels):
        named = cases(device)
        if arguments.serve:
            timing.TOO_LARGE_TO_STAY = 0
            isolated.serve({name: partial(once, make) for name, make in named.items()}, device)
            return 0
        # more rows than a tile has need no other kernel
        first = [name for name in named if int(name.split()[1]) <= row_limits.FEW_ROWS]
        command = [sys.executable, "-W", "ignore", __file__, "--serve"]
        checks = isolated.results(first, command, WORKERS, arguments.minutes) if arguments.minutes else {}
        print(json.dumps({name: one for name, one in checks.items() if "failed" in one}), flush=True)
        found: dict[str, Any] = {}
        for name, make in ({} if arguments.compile else named).items():
            found[name] = isolated.attempt(partial(measured, make, device))
            print(name, found[name], flush=True)
            arguments.out.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
