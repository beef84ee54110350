"""Measures tiles on this GPU and writes the table of the device, `kernels/coder_kernels/configs/sm_*.json`.

    python benchmarks/gpu/tune.py [--minutes 6] [--kinds KIND...] [--few] [--out FILE]

All candidates are compiled first, beside each other, in processes of their own, for half of the time. Each entry of
the table is tried with other sizes, warps and stages, one after the other, on the shapes of 0.5B and 7B; what is
fastest stays. What would change the order in which a row is summed up beside other rows is not varied: the depth of a
step, the keys of a chunk.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import json
import os
import sys
import time
from collections.abc import Collection, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "kernels")]

import isolated
import single
import torch
from shapes import SHAPES
from timing import milliseconds

from coder_kernels import configs, dispatch

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
    from coder_kernels.gpu import kernels

    # whatever torch is faster at
    ours = mock.patch.object(dispatch, "gpu_kernels", return_value=kernels)
    with mock.patch.object(configs, "table", return_value=table), ours:
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


def entries(table: Table, kinds: Collection[str], few: bool) -> Iterator[tuple[str, int]]:
    """Yields kernel and number of the entries that are tuned: all, those of some kinds, those for few rows."""
    for kernel in CASES:
        for index, entry in enumerate(table[kernel]):
            when = entry["when"]
            if when.get("kind", "dense") in kinds and not (few and "wide" in when):
                yield kernel, index


def with_entry(table: Table, kernel: str, index: int, entry: dict[str, Any]) -> Table:
    """Returns a table in which an entry is another one."""
    changed = copy.deepcopy(table)
    changed[kernel][index] = entry
    return changed


def once(table: Table, device: torch.device, job: str) -> dict[str, Any]:
    """Compiles a candidate by running it, in a process of its own; `job` is JSON of its kernel, index and entry."""
    kernel, index, entry = json.loads(job)
    return {"us": microseconds(with_entry(table, kernel, index, entry), kernel, entry, device)}


def compiled(table: Table, chosen: list[tuple[str, int]], device: torch.device, minutes: float) -> None:
    """Compiles candidates into Triton's cache, as far as the time suffices."""
    jobs = [(kernel, index, one) for kernel, index in chosen for one in candidates(kernel, table[kernel][index])]
    isolated.results(map(json.dumps, jobs), partial(once, table, device), min(os.cpu_count() or 1, 14), minutes)


def tuned(table: Table, device: torch.device, minutes: float, chosen: list[tuple[str, int]] | None = None) -> Table:
    """Returns the table with the fastest entries, as far as the time suffices."""
    end = time.monotonic() + 60 * minutes
    best = copy.deepcopy(table)
    for kernel in CASES:
        for index, entry in enumerate(table[kernel]):
            fastest = float("inf")
            if chosen is not None and (kernel, index) not in chosen:
                continue
            for candidate in candidates(kernel, entry):
                if time.monotonic() > end:
                    return best
                trial = with_entry(best, kernel, index, candidate)
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
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--few", action="store_true", help="tiles for up to 64 rows alone")
    parser.add_argument("--out", type=Path, default=file)
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        print("a GPU is needed: tiles are chosen by their time", file=sys.stderr)
        return 1
    before, device = configs.table(capability), torch.device("cuda")
    with torch.inference_mode():
        chosen = list(entries(before, arguments.kinds, arguments.few))
        compiled(before, chosen, device, arguments.minutes / 2)
        table = tuned(before, device, arguments.minutes / 2, chosen)
    arguments.out.write_text(as_text(table), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
