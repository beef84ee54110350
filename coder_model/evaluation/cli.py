"""`unmask eval`: the embedded model, or another, on infill cases."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import Progress
from rich.table import Column, Table

from coder_model.errors import ModelFileError
from coder_model.evaluation.cases import OWN_CASES, Case, read_cases
from coder_model.evaluation.run import Decide, Outcome, by_copy, by_engine, difference, groups, run, summary, write
from coder_model.types import InvalidInput
from coder_model.worker.threads import limit_threads


def main(argv: list[str]) -> int:
    """Evaluates; returns the exit code, 2 for bad input with one line on stderr."""
    parser = argparse.ArgumentParser("unmask eval", description=__doc__)
    parser.add_argument(
        "--data", type=Path, default=OWN_CASES, help="file or directory of cases; the own cases when absent"
    )
    parser.add_argument("--model", default="", help="directory or name of a model; the embedded one when absent")
    parser.add_argument("--quantize", default="auto", help="precision of the weights")
    parser.add_argument("--limit", type=int, help="only so many cases, evenly spread")
    parser.add_argument("--by", default="copyable,mode,lang,kind", help="fields and tags to split by")
    parser.add_argument("--options", type=json.loads, default={}, help="JSON of EngineOptions")
    parser.add_argument("--only-model", action="store_true", help="leave out the copy baseline and one token at a time")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/eval.json"))
    arguments = parser.parse_args(argv)
    try:
        cases = read_cases(arguments.data, arguments.limit)
        deciders = _deciders(arguments.model, arguments.quantize, arguments.options, arguments.only_model)
    except (InvalidInput, ModelFileError) as error:
        print(f"unmask eval: {error}", file=sys.stderr)
        return 2
    by = [name for name in arguments.by.split(",") if name]
    results = _run_all(cases, deciders)
    write(
        arguments.out,
        results,
        by,
        {"data": arguments.data.name, "options": arguments.options, "quantize": arguments.quantize},
    )
    _print(results, by)
    print(f"written to {arguments.out}")
    return 0


def _deciders(model: str, quantize: str, options: dict[str, Any], only_model: bool) -> dict[str, Decide]:
    limit_threads()
    from coder_model.checkpoints.open import open_single
    from coder_model.engine.engine import Engine
    from coder_model.engine.options import ONE_TOKEN, EngineOptions

    def engine(**more: Any) -> Engine:
        made = open_single(model, EngineOptions.of({**options, **more}), quantize)
        made.warm_up()
        return made

    deciders = {"model": by_engine(engine())}
    if not only_model:
        deciders["one token at a time"] = by_engine(engine(policy=ONE_TOKEN))
        deciders["model without copies"] = by_engine(engine(copy=False))
        deciders["copy baseline"] = by_copy
    return deciders


def _run_all(cases: list[Case], deciders: dict[str, Decide]) -> dict[str, list[Outcome]]:
    results = {}
    with Progress(console=Console(stderr=True), transient=True) as progress:
        for name, decide in deciders.items():
            task = progress.add_task(name, total=len(cases))

            def advance(task: Any = task) -> None:
                progress.advance(task)

            results[name] = run(cases, decide, advance)
    return results


def _print(results: dict[str, list[Outcome]], by: list[str]) -> None:
    tested = any(o.case.test for outcomes in results.values() for o in outcomes)
    heads = ("n", "exact", "line", "sim.", "parse", *(["pass@1"] if tested else []), "t/step", "steps", "p50", "p95 ms")
    table = Table(Column(no_wrap=True), *heads, box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for name, outcomes in results.items():
        for group, members in groups(outcomes, by).items():
            figures = summary(members)
            n = figures.pop("n")
            title = f"[bold]{name}" if group == "all" else f"  {group}"
            table.add_row(title, str(n), *(f"{v:.1f}" for v in figures.values()))
        table.add_section()
    console = Console()
    console.print(table)
    for name in results.keys() - {"model"}:
        points, half = difference(results["model"], results[name])
        console.print(f"model - {name}: {points:+.1f} ± {half:.1f} points of exact match", highlight=False)
