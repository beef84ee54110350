"""`make nightly`: runs what shows each promise of `nightly.toml`, keeps what was seen, goes on where it was stopped.

    python benchmarks/nightly.py [--only 1 4 21] [--again] [--minutes 120]
    python benchmarks/nightly.py --try [--only 1 4 21]     # each at its smallest, nothing is recorded

What takes long is done in pieces, each with other random numbers. After each piece the record is written; what was run
at the present commit is not run again, unless `--again` says so. `docs/promises.md` is made of it by `report.py`. A
promise is kept when its tests pass; what was skipped for want of something is told. What a benchmark shows is measured:
who reads the figures judges.
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
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from records import BENCHMARKS, RESULTS, Figures, write

ROOT = BENCHMARKS.parent
RECORD = RESULTS / "nightly.json"
KEPT = ("kept", "measured", "not here")
SAID = 4000
"""Characters of what a run has said, which are printed when a promise is not kept."""
_COUNTS = re.compile(r"(\d+) (passed|failed|skipped|error)")


def promises() -> list[Figures]:
    """Returns the promises, in order."""
    found: list[Figures] = tomllib.loads((BENCHMARKS / "nightly.toml").read_text("utf-8"))["promise"]
    return found


def commit() -> str:
    """Returns the present commit, with a plus where files differ from it; empty where there is no checkout."""
    said = subprocess.run(["git", "-C", str(ROOT), "describe", "--always", "--dirty=+"], capture_output=True, text=True)
    return said.stdout.strip()


def run(promise: Mapping[str, Any], piece: int = 0) -> Figures:
    """Runs what shows a promise, or one piece of it; returns what was seen."""
    if "elsewhere" in promise:
        return {"outcome": "not here", "seen": promise["elsewhere"], "seconds": 0}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "figures.json"
        scale, of = promise.get("scale", 1), promise.get("pieces", 1)
        environment = {**os.environ, "UNMASK_RESULTS": str(out), "UNMASK_SCALE": f"{scale / of:g}"}
        environment["UNMASK_PIECE"] = str(piece)
        began = time.monotonic()
        code, said = _ended(_command(promise, out), environment, promise["minutes"] * 60 / of)
        seconds = round(time.monotonic() - began)
        figures = json.loads(out.read_text("utf-8")) if out.exists() else {}
    counts = {name: int(count) for count, name in _COUNTS.findall(said.rpartition("\n=")[2] or said)}
    if code is None:
        outcome = f"not done in {promise['minutes'] / of:g} minutes"
    else:
        # a benchmark judges nothing: who reads its figures does
        done = "kept" if "tests" in promise else "measured"
        outcome = done if code == 0 and counts.get("passed", 1) else "broken"
    if outcome not in KEPT:
        print(said[-SAID:], flush=True)
    return {"outcome": outcome, "tests": counts, "figures": figures, "seconds": seconds}


def joined(pieces: Sequence[Figures], of: int) -> Figures:
    """Returns what was seen in all pieces so far: counts are added, of times and sizes the largest is kept."""
    # a benchmark, which is never in pieces, keeps what it likes
    figures: Figures = dict(pieces[0].get("figures", {}))
    for piece in pieces[1:]:
        for name, values in piece.get("figures", {}).items():
            mine = figures.get(name, {})
            both = {key: _both(key, mine[key], value) if key in mine else value for key, value in values.items()}
            figures[name] = {**mine, **both}
    broken = [piece["outcome"] for piece in pieces if piece["outcome"] not in KEPT]
    outcome = broken[0] if broken else pieces[-1]["outcome"] if len(pieces) == of else f"{len(pieces)} of {of} pieces"
    seconds = sum(piece["seconds"] for piece in pieces)
    return {**pieces[-1], "outcome": outcome, "figures": figures, "seconds": seconds}


def _both(key: str, one: Any, other: Any) -> Any:
    if not isinstance(one, int | float):
        return other
    return max(one, other) if key.startswith("slowest") or key.endswith(("_s", "_mb", "_ms")) else one + other


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
    parser.add_argument("--try", action="store_true", dest="tries", help="each at its smallest, without a record")
    arguments = parser.parse_args()
    wanted = [one for one in promises() if not arguments.only or one["number"] in arguments.only]
    end = time.monotonic() + arguments.minutes * 60
    broken = tried(wanted, end) if arguments.tries else recorded(wanted, end, arguments.again)
    sys.exit(f"not kept: {', '.join(broken)}" if broken else 0)


def tried(wanted: Sequence[Mapping[str, Any]], end: float) -> list[str]:
    """Runs each promise at its smallest; returns the numbers of those that failed."""
    broken = []
    for promise in wanted:
        if time.monotonic() > end:
            break
        small = {**promise, "scale": 1, "pieces": 1}
        if "command" in promise:
            small["command"] = [*promise["command"], *promise.get("small", [])]
        found = run(small)
        print(f"{promise['number']}: {found['outcome']}, {found['seconds']} s, {found.get('tests', {})}", flush=True)
        broken += [str(promise["number"])] if found["outcome"] not in KEPT else []
    return broken


def recorded(wanted: Sequence[Mapping[str, Any]], end: float, again: bool) -> list[str]:
    """Runs what is to be run, and writes the record after each piece; returns the numbers of what is not kept."""
    record: dict[str, Figures] = json.loads(RECORD.read_text("utf-8"))["promises"] if RECORD.exists() else {}
    now = commit()
    for promise in wanted:
        number, of = str(promise["number"]), promise.get("pieces", 1)
        before = record.get(number, {}) if not again else {}
        pieces = list(before.get("pieces", [before] * of)) if before.get("commit") == now else []
        while len(pieces) < of and all(one["outcome"] in KEPT for one in pieces) and time.monotonic() < end:
            print(f"{number}: {promise['what']}" + (f", piece {len(pieces) + 1} of {of}" if of > 1 else ""), flush=True)
            pieces.append(run(promise, len(pieces)))
            record[number] = {"commit": now, **joined(pieces, of), **({"pieces": pieces} if of > 1 else {})}
            print(f"   {record[number]['outcome']}, {pieces[-1]['seconds']} s", flush=True)
            write(RECORD, {"promises": dict(sorted(record.items(), key=lambda item: int(item[0])))})
    return [number for number, one in record.items() if one["outcome"] not in KEPT]


if __name__ == "__main__":
    main()
