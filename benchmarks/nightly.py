"""`make nightly`: runs what shows each promise of `nightly.toml`, keeps what was seen, goes on where it was stopped.

    python benchmarks/nightly.py [--only 1 4 21] [--again] [--minutes 120]

After each promise the record is written; one that was run at the present commit is not run again, unless `--again` says
so. `docs/promises.md` is made of it by `report.py`. A promise is kept when its tests pass; what was skipped for want of
something is told. What a benchmark shows is measured: who reads the figures judges.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from records import BENCHMARKS, RESULTS, Figures, write

ROOT = BENCHMARKS.parent
RECORD = RESULTS / "nightly.json"
_COUNTS = re.compile(r"(\d+) (passed|failed|skipped|error)")


def promises() -> list[Figures]:
    """Returns the promises, in order."""
    found: list[Figures] = tomllib.loads((BENCHMARKS / "nightly.toml").read_text("utf-8"))["promise"]
    return found


def commit() -> str:
    """Returns the present commit, with a plus where files differ from it; empty where there is no checkout."""
    said = subprocess.run(["git", "-C", str(ROOT), "describe", "--always", "--dirty=+"], capture_output=True, text=True)
    return said.stdout.strip()


def run(promise: Mapping[str, Any]) -> Figures:
    """Runs what shows a promise; returns what was seen."""
    if "elsewhere" in promise:
        return {"outcome": "not here", "seen": promise["elsewhere"], "seconds": 0}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "figures.json"
        environment = {**os.environ, "UNMASK_RESULTS": str(out), "UNMASK_SCALE": str(promise.get("scale", 1))}
        began = time.monotonic()
        code, said = _ended(_command(promise, out), environment, promise["minutes"] * 60)
        seconds = round(time.monotonic() - began)
        figures = json.loads(out.read_text("utf-8")) if out.exists() else {}
    counts = {name: int(count) for count, name in _COUNTS.findall(said.rpartition("\n=")[2] or said)}
    if code is None:
        outcome = f"not done in {promise['minutes']} minutes"
    else:
        # a benchmark judges nothing: who reads its figures does
        done = "kept" if "tests" in promise else "measured"
        outcome = done if code == 0 and counts.get("passed", 1) else "broken"
    return {"outcome": outcome, "tests": counts, "figures": figures, "seconds": seconds}


def _command(promise: Mapping[str, Any], out: Path) -> list[str]:
    if "tests" in promise:
        return [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *promise["tests"]]
    script, *arguments = promise["command"]
    return [sys.executable, script, *(one.format(out=out) for one in arguments)]


def _ended(command: list[str], environment: dict[str, str], seconds: float) -> tuple[int | None, str]:
    """Runs a command in a group of its own, which is ended when its time is over."""
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip
    try:
        said, _ = process.communicate(timeout=seconds)
        return process.returncode, said
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return None, process.communicate()[0]


def main() -> None:
    """Runs what is to be run, and writes the record after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=int, nargs="+", help="numbers of promises")
    parser.add_argument("--again", action="store_true", help="also what was run at this commit")
    parser.add_argument("--minutes", type=float, default=120.0, help="nothing is begun after so long")
    arguments = parser.parse_args()
    record: dict[str, Figures] = json.loads(RECORD.read_text("utf-8"))["promises"] if RECORD.exists() else {}
    now, end = commit(), time.monotonic() + arguments.minutes * 60
    for promise in promises():
        number = str(promise["number"])
        is_done = record.get(number, {}).get("commit") == now and not arguments.again
        if is_done or (arguments.only and promise["number"] not in arguments.only) or time.monotonic() > end:
            continue
        print(f"{number}: {promise['what']}", flush=True)
        record[number] = {"commit": now, **run(promise)}
        print(f"   {record[number]['outcome']}, {record[number]['seconds']} s", flush=True)
        write(RECORD, {"promises": dict(sorted(record.items(), key=lambda item: int(item[0])))})
    broken = [number for number, one in record.items() if one["outcome"] not in ("kept", "measured", "not here")]
    sys.exit(f"not kept: {', '.join(broken)}" if broken else 0)


if __name__ == "__main__":
    main()
