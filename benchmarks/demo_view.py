"""How the demo looks: a place with its ghost text, the closing table. On a terminal, in a pipe, and as a picture."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from demo_places import Place, Shown, Verdict
from rich.console import Console, Group, RenderableType
from rich.rule import Rule
from rich.table import Table
from rich.terminal_theme import MONOKAI
from rich.text import Text

from coder_model.evaluation.metrics import mean, percentile

CONTEXT_LINES = 2
WIDTH = 100
"""Of the picture, in characters."""
GHOST, PLAIN_GHOST = "bold green", ("«", "»")
SIGNS: dict[Verdict, tuple[str, str]] = {
    "as in the file": ("✔ as in the file", "green"),
    "parses": ("≈ other text, parses", "yellow"),
    "does not parse": ("✘ does not parse", "red"),
    "nothing": ("- nothing offered", "dim"),
}


@dataclass(frozen=True, slots=True)
class Run:
    """What one model has shown."""

    name: str
    size_gb: float
    """Of its files."""
    loading_s: float
    """From starting the server to its first answer."""
    memory_mb: float
    """Of server and worker at the end, in units of 2**20 bytes."""
    shown: tuple[Shown, ...]


def heading(text: str) -> Rule:
    """Returns a line over a model's places."""
    return Rule(Text(text, style="bold"), style="dim", align="left")


def place_view(console: Console, lines: Sequence[str], place: Place, typed: str, ghost: str) -> Text:
    """Returns the cursor's line with its ghost text under the lines before it.

    Args:
        console: without colours the ghost text stands in « ».
        lines: of the file.
        place: of the cursor.
        typed: what stands in the cursor's line.
        ghost: what is suggested behind it.
    """
    opening, closing = PLAIN_GHOST if console.color_system is None and ghost else ("", "")
    view = Text(overflow="fold")
    for row in range(max(place.row - CONTEXT_LINES, 0), place.row):
        above = Text(f"{row + 1:4}  {lines[row]}", "dim")
        # one line each; what is suggested is never cut
        above.truncate(console.width, overflow="ellipsis")
        view.append_text(above).append("\n")
    view.append(f"{place.row + 1:4}  ", "dim")
    view.append(typed)
    first, *more = (opening + ghost + closing).split("\n")
    for number, line in enumerate([first, *more]):
        view.append(f"\n{'':6}" if number else "")
        view.append(line, GHOST)
    return view


def answer_view(console: Console, lines: Sequence[str], number: int, shown: Shown, name: str) -> Group:
    """Returns a place as it is printed: its kind, the line, and below it what became of it."""
    sign, colour = SIGNS[shown.verdict]
    below = Text.assemble(
        ("      ", ""),
        (sign, colour),
        (f" · {shown.ghost.milliseconds:,.0f} ms after the key · {name}", "cyan"),
    )
    parts: list[RenderableType] = [
        Text(f"{number:2}. {shown.place.kind}", style="bold"),
        place_view(console, lines, shown.place, shown.place.before, shown.ghost.text),
        below,
    ]
    if shown.verdict != "as in the file":
        said = " ⏎ ".join(line.strip() for line in shown.place.hidden.split("\n"))
        parts.append(Text(f"      the file: {said}", style="dim"))
    return Group(*parts, "")


def summary(runs: Sequence[Run]) -> Table:
    """Returns the models side by side."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 3, 0, 0))
    table.add_column("the same file, the same keys")
    for run in runs:
        table.add_column(run.name, justify="right")
    rows = {
        SIGNS["as in the file"][0]: [_count(run, "as in the file") for run in runs],
        SIGNS["parses"][0]: [_count(run, "parses") for run in runs],
        SIGNS["does not parse"][0]: [_count(run, "does not parse") for run in runs],
        SIGNS["nothing"][0]: [_count(run, "nothing") for run in runs],
        "alike to the file's text, mean": [f"{100 * mean([s.similarity for s in run.shown]):.0f} %" for run in runs],
        "from the last key to the reply, median": [f"{percentile(_times(run), 50):,.0f} ms" for run in runs],
        "the slowest one": [f"{max(_times(run)):,.0f} ms" for run in runs],
        "memory, server and worker": [f"{run.memory_mb:,.0f} MB" for run in runs],
        "loading": [f"{run.loading_s:.1f} s" for run in runs],
        "on disk": [f"{run.size_gb:.2f} GB" for run in runs],
    }
    for what, cells in rows.items():
        table.add_row(what, *cells)
    return table


def as_text(table: Table) -> str:
    """Returns a table as lines of plain text."""
    console = Console(file=StringIO(), width=WIDTH, color_system=None)
    with console.capture() as captured:
        console.print(table)
    return "\n".join(line.rstrip() for line in captured.get().splitlines()) + "\n"


def save_picture(path: Path, title: str, lines: Sequence[str], run: Run, numbers: Sequence[int]) -> None:
    """Writes some places of a run as SVG, as a terminal shows them."""
    console = Console(record=True, file=StringIO(), width=WIDTH, force_terminal=True, color_system="truecolor")
    for number in (number for number in numbers if number <= len(run.shown)):
        console.print(answer_view(console, lines, number, run.shown[number - 1], run.name))
    path.parent.mkdir(parents=True, exist_ok=True)
    svg = console.export_svg(title=title, theme=MONOKAI, unique_id="unmask")
    # rich names a font on another machine, which a picture must not ask for
    path.write_text(re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL), "utf-8")


def _count(run: Run, verdict: Verdict) -> str:
    return f"{sum(shown.verdict == verdict for shown in run.shown)} of {len(run.shown)}"


def _times(run: Run) -> list[float]:
    return [shown.ghost.milliseconds for shown in run.shown]
