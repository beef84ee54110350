"""`unmask eval`: the embedded model, or another, on infill cases."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Column, Table

from coder_model.evaluation.cases import OWN_CASES, Case, read_cases, split_by
from coder_model.evaluation.run import Contest, Outcome, contest, difference, groups, run, summary, write
from coder_model.training.progress import Ticker, left
from coder_model.types import InvalidInput
from coder_model.whole_file import written_whole
from unmask_cli.terminal import print_whole
from unmask_cli.waiting import waiting


def evaluate(
    data: Path | None, model: str, quantize: str, limit: int | None, by: list[str] | None, options: dict[str, Any],
    out: Path | None, *, only_model: bool, concurrent: int = 1,
) -> None:  # fmt: skip
    """Scores a model and, unless `only_model`, what it is compared with; prints a table and writes JSON if asked.

    Args:
        data: file or directory of cases; None for the own ones.
        model: directory or name; the embedded one when empty.
        quantize: precision of the weights.
        limit: number of cases, evenly spread; None for all.
        by: fields and tags to split the figures by; `USUAL_SPLIT` as far as the cases have it when None.
        options: of `EngineOptions`.
        out: file to write; None for none.
        only_model: leave out the copy baseline, one token at a time, and the model without copies.
        concurrent: cases filled at a time; the times are then those beside each other.

    Raises:
        InvalidInput: when cases or options are none, no case has what to split by, or more cases at a time than the
            device takes; names them.
        ModelFileError: when the model cannot be loaded.
    """
    data = data or OWN_CASES
    cases = read_cases(data, limit)
    by = split_by(cases, by)
    with waiting("the model is loading"):
        chosen = contest(model, quantize, options, only_model)
    if not 1 <= concurrent <= chosen.max_concurrent:
        raise InvalidInput(f"concurrent must be 1 to {chosen.max_concurrent} on this device, got {concurrent}")
    with _kept(out) as part:
        results = _run_all(cases, chosen, concurrent)
        _print(results, by)
        if part:
            write(part, results, by, chosen.facts(data, concurrent))
            print(f"written to {out}")


@contextmanager
def _kept(out: Path | None) -> Iterator[Path | None]:
    """The file that becomes `out` when all went well; made at once: what cannot be written is said before the work."""
    if out is None:
        yield None
        return
    if out.is_dir():
        raise InvalidInput(f"--output must be a file, {out} is a directory")
    if out.exists() and not out.is_file():
        # a device or a pipe is written to, never replaced
        yield out
        return
    whole = out.resolve()
    whole.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(whole) as part:
        part.touch()
        yield part


def _run_all(cases: list[Case], chosen: Contest, concurrent: int) -> dict[str, list[Outcome]]:
    results = {}
    with Ticker() as ticker:
        for name, decide in chosen.deciders.items():
            results[name] = run(cases, decide, _counter(ticker, name, len(cases)), concurrent)
    return results


def _counter(ticker: Ticker, name: str, total: int) -> Callable[[], None]:
    """What is called after each case, and says how many are done."""
    began, numbers = time.monotonic(), itertools.count(1)

    def advance() -> None:
        done = next(numbers)
        rest = (total - done) * (time.monotonic() - began) / done
        ticker.tell(f"{name}: {done} of {total} cases, {left(rest)} left")

    return advance


def _print(results: dict[str, list[Outcome]], by: list[str]) -> None:
    tested = any(o.case.test for outcomes in results.values() for o in outcomes)
    tests = ("pass@1",) if tested else ()
    heads = ("n", "exact", "line", "sim.", "parse", "empty", *tests, "t/step", "steps", "p50", "p95 ms")
    table = Table(Column(no_wrap=True), *heads, box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for name, outcomes in results.items():
        for group, members in groups(outcomes, by).items():
            figures = summary(members)
            n = figures.pop("n")
            title = f"[bold]{name}" if group == "all" else f"  {group}"
            table.add_row(title, str(n), *(f"{v:.1f}" for v in figures.values()))
        table.add_section()
    console = Console()
    print_whole(table)
    for name in results.keys() - {"model"}:
        points, half = difference(results["model"], results[name])
        console.print(f"model - {name}: {points:+.1f} ± {half:.1f} points of exact match", highlight=False)
