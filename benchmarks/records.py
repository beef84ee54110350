"""What the benchmarks share: a record written and shown, Markdown tables, parts of pages between their marks."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from coder_model.evaluation.run import facts

BENCHMARKS = Path(__file__).parent
RESULTS, DOCS = BENCHMARKS / "results", BENCHMARKS.parent / "docs"
Figures = dict[str, Any]
Column = str | Callable[[str, Figures], str]
"""A format with `{name}` and the figures' own names, or what makes the cell."""


def load(name: str) -> Figures:
    """Returns a file of `results/`."""
    found: Figures = json.loads((RESULTS / f"{name}.json").read_text("utf-8"))
    return found


def write(out: Path, record: Mapping[str, Any]) -> None:
    """Writes a record with when, on what and with which versions it was made."""
    out.write_text(json.dumps({**facts(), **record}, indent=1, ensure_ascii=False) + "\n", "utf-8")
    print(f"written to {out}")


def show(columns: Mapping[str, Mapping[str, Any]]) -> None:
    """Prints what was measured: a column for each variant, a row for each figure that is no group of others."""
    table = Table("", *columns)
    for name, figure in next(iter(columns.values())).items():
        if not isinstance(figure, dict):
            table.add_row(name, *(str(figures.get(name, "")) for figures in columns.values()))
    Console().print(table)


def markdown(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Returns a Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def table(rows: Mapping[str, Figures] | Iterable[tuple[str, Figures]], columns: Mapping[str, Column]) -> str:
    """Returns a Markdown table of names and figures."""
    named = rows.items() if isinstance(rows, Mapping) else rows
    return markdown(list(columns), [[_cell(column, *row) for column in columns.values()] for row in named])


def _cell(column: Column, name: str, figures: Figures) -> str:
    return column.format(name=name, **figures) if isinstance(column, str) else column(name, figures)


def between(text: str, parts: Mapping[str, str]) -> str:
    """Returns a page with other parts between its marks, `<!-- name -->` and `<!-- end of name -->`.

    Raises:
        ValueError: when the page lacks a mark.
    """
    for name, lines in parts.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        text, count = re.subn(f"{begin}.*?{end}", lambda _, new=begin + lines + end: new, text, flags=re.DOTALL)  # type: ignore[misc]
        if count != 1:
            raise ValueError(f"a page must hold {begin.strip()} and {end} once, found them {count} times")
    return text
