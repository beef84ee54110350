"""Exact match through the real server, as an editor asks by itself: as shipped, without filters, and all that it finds.

    .venv/bin/python benchmarks/server.py DEV [--out benchmarks/results/server-dev.json]

Every case is a document; the ones before it stay open, as in an editor. A case that gets no ghost text counts as empty.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table
from session import Editor

from coder_model.evaluation.cases import Case, read_cases
from coder_model.evaluation.run import Decide, Decision, Outcome, difference, facts, groups, run, summary
from coder_model.text.filters import FILTERS
from lsp_server.documents import split_lines

VARIANTS: dict[str, dict[str, Any]] = {
    "as shipped": {},
    "without filters": {"filtersOff": list(FILTERS)},
    "eager": {"preset": "eager"},
    "eager, without filters": {"preset": "eager", "filtersOff": list(FILTERS)},
}
BY = ("copyable", "mode", "kind", "lang")


def by_server(editor: Editor) -> Decide:
    """Returns a decider that asks the server at the end of the prefix."""

    def decide(case: Case) -> Decision:
        lines = split_lines(case.prefix)
        editor.open(f"file:///cases/{case.id}/{case.file_name}", case.prefix + case.suffix, case.lang)
        ghost = editor.ask(len(lines) - 1, len(lines[-1]))
        return Decision(ghost.text, ghost.steps, ghost.tokens)

    return decide


def figures(outcomes: list[Outcome]) -> dict[str, dict[str, float]]:
    """Returns the figures of every group, with the share of cases that got ghost text."""
    found = {}
    for name, group in groups(outcomes, BY).items():
        shown = sum(bool(outcome.text) for outcome in group)
        found[name] = {**summary(group), "shown": 100 * shown / len(group)}
    return found


def main() -> None:
    """Runs every variant, prints a table, writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", type=Path)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/server-dev.json"))
    arguments = parser.parse_args()
    cases = read_cases(arguments.cases)
    outcomes: dict[str, list[Outcome]] = {}
    for name, options in VARIANTS.items():
        editor = Editor({"deadlineMs": 30_000, **options})
        editor.wait_until_ready()
        outcomes[name] = run(list(track(cases, name)), by_server(editor))
        editor.close()
    filters = difference(outcomes["eager"], outcomes["eager, without filters"])
    found = {name: figures(group) for name, group in outcomes.items()}
    record = {**facts(), "data": arguments.cases.name, "filters_gain_points": filters, "variants": found}
    arguments.out.write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    table = Table("", *(f"{name}: exact / similarity / shown" for name in found))
    for group in found["as shipped"]:
        rows = (found[name][group] for name in found)
        table.add_row(group, *(f"{row['exact']:.1f} / {row['similarity']:.1f} / {row['shown']:.0f}" for row in rows))
    Console().print(table)
    print(f"written to {arguments.out}")


if __name__ == "__main__":
    main()
