"""`unmask eval`: the embedded model, or another, on infill cases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import Progress
from rich.table import Column, Table

from coder_model.evaluation.cases import OWN_CASES, Case, read_cases
from coder_model.evaluation.run import Decide, Outcome, deciders, difference, groups, run, summary, write


def evaluate(
    data: Path | None, model: str, quantize: str, limit: int | None, by: list[str], options: dict[str, Any],
    out: Path, *, only_model: bool,
) -> None:  # fmt: skip
    """Scores a model and, unless `only_model`, what it is compared with; prints a table and writes JSON.

    Args:
        data: file or directory of cases; None for the own ones.
        model: directory or name; the embedded one when empty.
        quantize: precision of the weights.
        limit: number of cases, evenly spread; None for all.
        by: fields and tags to split the figures by.
        options: of `EngineOptions`.
        out: file to write.
        only_model: leave out the copy baseline, one token at a time, and the model without copies.

    Raises:
        InvalidInput: when cases or options are none; names them.
        ModelFileError: when the model cannot be loaded.
    """
    data = data or OWN_CASES
    cases = read_cases(data, limit)
    results = _run_all(cases, deciders(model, quantize, options, only_model))
    write(out, results, by, {"data": data.name, "options": options, "quantize": quantize})
    _print(results, by)
    print(f"written to {out}")


def _run_all(cases: list[Case], chosen: dict[str, Decide]) -> dict[str, list[Outcome]]:
    results = {}
    with Progress(console=Console(stderr=True), transient=True) as progress:
        for name, decide in chosen.items():
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
