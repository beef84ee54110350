"""Whole passes with other tiles: each variant compiles in a process of its own, then they are measured in turns.

    python benchmarks/gpu/variants.py VARIANTS.json --out FILE [--minutes 1]

VARIANTS.json maps a name to a list: models as `run.py` names them, and what is changed in the table of tiles, by kernel
(`*` for all), as [["0.5B fp8 batch 1"], {"attention": {"chunk": 128}}].
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "kernels")]

import catalogue
import torch

from coder_kernels import configs

PATIENCE = 20.0
"""Seconds for the measurements of a variant."""
Changes = dict[str, dict[str, Any]]


def change_(changes: Changes) -> None:
    """Changes the table of this device, for this process."""
    for kernel, entries in configs.table(configs.architecture()).items():
        for entry in entries:
            entry.update(changes.get("*", {}), **changes.get(kernel, {}))
    configs.tile.cache_clear()


def serve(name: str, changes: Changes) -> None:
    """Checks a model and says so, waits for a line, and answers with its times."""
    change_(changes)
    device = torch.device("cuda")
    model = next(one for one in catalogue.models(device, False) if one.name == name)
    with torch.inference_mode():
        bench = model.bench(device, False)
        record: dict[str, Any] = bench.checked()
        bench.commit_ms()
        print("ready", flush=True)
        sys.stdin.readline()
        record |= {"step_ms": bench.step_ms(), "commit_ms": bench.commit_ms(), "prefill_ms": bench.prefill_ms()}
        record["fill_ms"] = bench.fill_ms(4, 2)
    print(json.dumps(record), flush=True)


def main() -> int:
    """Starts the processes, and writes what they say as soon as they say it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("variants", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=1.0, help="to compile in")
    parser.add_argument("--wait", type=Path, help="for this file, before anything is measured")
    parser.add_argument("--serve", nargs=2, metavar=("MODEL", "CHANGES"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.serve[0], json.loads(arguments.serve[1]))
        return 0
    end = time.monotonic() + 60 * arguments.minutes
    processes = {}
    for variant, (models, changes) in json.loads(arguments.variants.read_text("utf-8")).items():
        for model in models:
            command = [
                sys.executable,
                "-W",
                "ignore",
                __file__,
                str(arguments.variants),
                "--out",
                "-",
                "--serve",
                model,
            ]
            processes[f"{model}: {variant}"] = subprocess.Popen(
                [*command, json.dumps(changes)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
    ready = [name for name, process in processes.items() if _line(process, end) == "ready\n"]
    while arguments.wait and not arguments.wait.exists() and time.monotonic() < end + PATIENCE:
        time.sleep(0.1)
    found = {}
    for name in ready:
        process = processes[name]
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()
        if answer := _line(process, time.monotonic() + PATIENCE):
            found[name] = json.loads(answer)
            print(name, {key: round(value, 4) for key, value in found[name].items()}, flush=True)
        arguments.out.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    print("left out:", sorted(processes.keys() - found.keys()))
    return 0


def _line(process: subprocess.Popen[str], end: float) -> str:
    """Returns the next line of a process; none where it ends, or is ended because the time is up."""
    assert process.stdout
    alarm = threading.Timer(max(end - time.monotonic(), 0.1), process.kill)
    alarm.start()
    try:
        return process.stdout.readline()
    finally:
        alarm.cancel()


if __name__ == "__main__":
    sys.exit(main())
