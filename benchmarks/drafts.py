"""What each kind of draft brings: copies from the document, from snippets of other files, the previous suggestion.

    .venv/bin/python benchmarks/drafts.py CASES [--out benchmarks/results/drafts.json]

CASES hold snippets (`benchmarks/held_out_cases.py`). Typing: the first suggestion's characters are typed one by one,
and each key asks again, with the last suggestion as a draft and with it forgotten.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from coder_model.worker.threads import limit_threads

KEYS = 4


def main() -> None:
    """Runs and writes the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/drafts.json"))
    arguments = parser.parse_args()
    limit_threads()
    from coder_model.engine.engine import Engine
    from coder_model.engine.options import EngineOptions
    from coder_model.evaluation.cases import Case, read_cases
    from coder_model.evaluation.metrics import mean, percentile
    from coder_model.evaluation.run import by_engine, difference, facts, run, summary
    from coder_model.types import FillRequest

    cases = read_cases(arguments.cases)
    bare = [replace(case, snippets=()) for case in cases]
    runs: dict[str, tuple[list[Case], dict[str, Any]]] = {
        "model alone": (bare, {"copy": False}),
        "copies from the document": (bare, {}),
        "model alone, snippets shown": (cases, {"copy": False}),
        "snippets shown and copied from": (cases, {}),
    }
    outcomes = {
        name: run(given, by_engine(Engine.load(arguments.model, EngineOptions(**options))))
        for name, (given, options) in runs.items()
    }
    gain = difference(outcomes["snippets shown and copied from"], outcomes["copies from the document"])
    record = {
        **facts(),
        "rows": [{"name": name, **summary(found)} for name, found in outcomes.items()],
        "gain_of_snippets": gain,
        "typing": [],
    }
    for name, keep in (("with the previous suggestion", True), ("without it", False)):
        engine = Engine.load(arguments.model, EngineOptions())
        steps, times = [], []
        for case in bare:
            *_, first = engine.fill(FillRequest("s", case.prefix, case.suffix, case.file_name, case.lang))
            for n in range(1, min(KEYS, len(first.text)) + 1):
                if not keep:
                    engine.forget_suggestions()
                typed = FillRequest("s", case.prefix + first.text[:n], case.suffix, case.file_name, case.lang)
                *_, again = engine.fill(typed)
                steps.append(again.steps)
                times.append(again.elapsed_ms)
        record["typing"].append(
            {
                "name": name,
                "keys": len(steps),
                "steps": mean(steps),
                "p50_ms": percentile(times, 50),
                "p95_ms": percentile(times, 95),
            }
        )
    arguments.out.write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
