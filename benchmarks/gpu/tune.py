"""Measures tiles on this GPU and writes the table of the device, `kernels/coder_kernels/configs/sm_*.json`.

    python benchmarks/gpu/tune.py [--minutes 6] [--out FILE]

Each entry of the present table is tried with other sizes, warps and stages, one after the other, on the shapes of 0.5B
and 7B; the fastest together stays. What would change the order in which a row is summed up beside other rows is not
varied: the depth of a step, the keys of a chunk.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "kernels")]

import single
import torch
from shapes import SHAPES
from timing import milliseconds

from coder_kernels import configs

Table = dict[str, list[dict[str, Any]]]
CASES = {"product": "linear", "swiglu": "swiglu", "select": "head_select", "attention": "block_attention"}
"""The operation that a table's tiles are for."""
KINDS = {"int4": ["int4"], "eight": ["fp8", "int8"], "weight_only": ["int8 weights"], "dense": ["bf16"]}
VARIED = {"warps": (4, 8), "stages": (2, 3, 4, 5)}
ROWS = {"product": (64, 128), "swiglu": (64, 128), "select": (64, 128), "attention": (16, 32, 64, 128)}


def candidates(kernel: str, entry: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yields an entry with other sizes, its own first."""
    yield entry
    for rows, warps, stages in itertools.product(ROWS[kernel], VARIED["warps"], VARIED["stages"]):
        changed = {**entry, "rows": rows, "warps": warps, "stages": stages}
        if changed != entry:
            yield changed


def microseconds(table: Table, kernel: str, entry: dict[str, Any], device: torch.device) -> float:
    """Returns the time of the operations that an entry is for, together; infinity where one cannot run."""
    when = entry["when"]
    kinds = KINDS.get(when.get("kind", "dense"), ["bf16"])
    total = 0.0
    with mock.patch.object(configs, "table", return_value=table):
        configs.tile.cache_clear()
        try:
            for shape in (SHAPES["0.5B"], SHAPES["7B"]):
                if when.get("width", shape.head_dim) != shape.head_dim:
                    continue
                for name, make in single.cases(shape, device, torch.bfloat16, kinds, 4 if "wide" in when else 1):
                    if name.startswith(CASES[kernel]):
                        total += milliseconds(make().runs, device) * 1e3
        except Exception:  # too many registers, too much shared memory: no candidate
            total = float("inf")
    configs.tile.cache_clear()
    return total


def tuned(table: Table, device: torch.device, minutes: float) -> Table:
    """Returns the table with the fastest entries, as far as the time suffices."""
    end = time.monotonic() + 60 * minutes
    best = copy.deepcopy(table)
    for kernel in CASES:
        for index, entry in enumerate(table[kernel]):
            fastest = float("inf")
            for candidate in candidates(kernel, entry):
                if time.monotonic() > end:
                    return best
                trial = copy.deepcopy(best)
                trial[kernel][index] = candidate
                if (us := microseconds(trial, kernel, candidate, device)) < fastest:
                    fastest, best[kernel][index] = us, candidate
            print(f"{kernel} {entry['when']}: {fastest:.0f} us with {best[kernel][index]}", flush=True)
    return best


def as_text(table: Table) -> str:
    """Returns a table as its file has it, an entry to a line."""
    parts = [
        f'  "{kernel}": [\n' + ",\n".join("    " + json.dumps(entry) for entry in entries) + "\n  ]"
        for kernel, entries in table.items()
    ]
    return "{\n" + ",\n".join(parts) + "\n}\n"


def main() -> int:
    """Tunes and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    capability = configs.architecture()
    file = ROOT / f"kernels/coder_kernels/configs/sm_{capability}.json"
    parser.add_argument("--minutes", type=float, default=6.0)
    parser.add_argument("--out", type=Path, default=file)
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        print("a GPU is needed: tiles are chosen by their time", file=sys.stderr)
        return 1
    with torch.inference_mode():
        table = tuned(configs.table(capability), torch.device("cuda"), arguments.minutes)
    arguments.out.write_text(as_text(table), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
