"""Quality against the number of denoise steps, for every policy, without verify and without copies: denoising alone.

    .venv/bin/python benchmarks/pareto.py CASES [--limit 120] [--out benchmarks/results/pareto.json]

Beside them the same weights one token at a time, and the engine as it is shipped, with and without copies.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track

from coder_model.worker.threads import limit_threads

STEPS = (1, 2, 4, 8, 16)
ALONE = {"copy": False, "alternatives": 0}


def rows() -> list[dict[str, Any]]:
    """Returns the name and options of every run."""
    from coder_kernels.policies import POLICIES

    drafting = {**ALONE, "verify": False}
    runs = [
        {"name": policy, "steps": steps, "options": {**drafting, "policy": policy, "max_steps": steps}}
        for policy in POLICIES
        for steps in STEPS
    ]
    one = {"policy": "one_token"}
    return [
        *runs,
        {"name": "one token at a time", "steps": 1, "options": {**ALONE, **one}},
        {"name": "denoise and verify", "steps": 2, "options": {**ALONE, "min_accepted": 0.0}},
        {"name": "copies and verify", "steps": 2, "options": {"alternatives": 0}},
        {"name": "as shipped", "steps": 2, "options": {}},
    ]


def main() -> None:
    """Runs them all and writes the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", type=Path)
    parser.add_argument("--limit", type=int, default=120)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/pareto.json"))
    arguments = parser.parse_args()
    limit_threads()
    from coder_model.engine.engine import Engine
    from coder_model.engine.options import EngineOptions
    from coder_model.evaluation.cases import read_cases
    from coder_model.evaluation.run import by_engine, facts, run, summary

    cases = [case for case in read_cases(arguments.cases) if case.mode == "single"]
    cases = [cases[i * len(cases) // arguments.limit] for i in range(min(arguments.limit, len(cases)))]
    found = []
    for row in track(rows(), console=Console(stderr=True)):
        engine = Engine.load(arguments.model, EngineOptions(**row["options"]))
        found.append({**row, **summary(run(cases, by_engine(engine)))})
    record = {**facts(), "cases": len(cases), "rows": found}
    arguments.out.write_text(json.dumps(record, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
