"""Key to reply over a typing session in a file of about 1,000 tokens, through the real server.

    .venv/bin/python benchmarks/warm_session.py [--model NAME] [--out benchmarks/results/session-NAME.json]

Lines are taken out of a file and typed again, one place after the other, 150 to 200 ms apart; at each key ghost text
is asked for and waited for. One session moves the cursor to a place and lets it rest before it types, as a person does,
and tells the server; the other one types at once at a place that the server has never heard of.
"""

from __future__ import annotations

import argparse
import random
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from editor import Editor, Ghost
from records import BENCHMARKS, RESULTS, show, write

from coder_model.evaluation.metrics import percentile

FILES = [BENCHMARKS / "demo" / name for name in ("expenses.py", "inventory.py")]
PAUSE_S, REST_S = (0.15, 0.2), 2.0
PLACES, LONGEST = 14, 24
"""Lines that are taken out, and keys typed of each at most."""
SHORTEST = 18
"""Characters of a line worth typing."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A line that is typed again."""

    row: int
    text: str


def document() -> tuple[str, list[Gap]]:
    """Returns the file with lines that hold their indentation only, and what was there, in the order of typing."""
    lines = "\n".join(path.read_text("utf-8") for path in FILES).split("\n")
    rows = [row for row, line in enumerate(lines) if len(line.strip()) >= SHORTEST and line.startswith("    ")]
    rng = random.Random(7)
    chosen = rng.sample(rows, PLACES)
    gaps = []
    for row in chosen:
        text = lines[row].lstrip()
        lines[row] = lines[row][: -len(text)]
        gaps.append(Gap(row, text[:LONGEST]))
    return "\n".join(lines), gaps


def indentation(text: str, gap: Gap) -> int:
    """Returns the column that a gap begins at."""
    return len(text.split("\n")[gap.row])


def typed(editor: Editor, text: str, *, rests: bool) -> list[list[Ghost]]:
    """Types every gap; returns the replies to its keys, the one to arriving there first."""
    rng = random.Random(11)
    found = []
    for gap in document()[1]:
        column = indentation(text, gap)
        if rests:
            editor.move(gap.row, column)
            time.sleep(REST_S)
        ghosts = [editor.ask(gap.row, column)]
        for char in gap.text:
            editor.type(gap.row, column, char)
            column += 1
            began = time.perf_counter()
            ghosts.append(editor.ask(gap.row, column))
            time.sleep(max(0.0, rng.uniform(*PAUSE_S) - (time.perf_counter() - began)))
        found.append(ghosts)
    return found


def first_replies(editor: Editor, text: str, gap: Gap) -> dict[str, float]:
    """Returns the milliseconds to the first reply in a file just opened, asked at once and after a rest."""
    row, column, found = gap.row, indentation(text, gap), {}
    for name, rest in (("at once", 0.0), ("after a rest", REST_S)):
        # another file every time: the same text is known under its name only
        editor.open(f"file:///work/{name.replace(' ', '_')}.py", text)
        editor.move(row, column)
        time.sleep(rest)
        found[name] = round(editor.ask(row, column).milliseconds, 1)
        editor.close_document()
    return found


def figures(places: list[list[Ghost]]) -> dict[str, Any]:
    """Returns percentiles over all keys, over those that the model answered, and over the first of a place."""
    keys = [ghost for ghosts in places for ghost in ghosts[1:]]
    groups = {
        "all keys": keys,
        "shown by the model": [ghost for ghost in keys if ghost.steps],
        "arrivals": [ghosts[0] for ghosts in places],
        "first key of a place": [ghosts[1] for ghosts in places],
    }
    times = {name: [ghost.milliseconds for ghost in group] for name, group in groups.items()}
    return {
        f"{name}, p{q} ms": round(percentile(found, q), 1) for name, found in times.items() if found for q in (50, 95)
    } | {
        "shown": sum(bool(ghost.text) for ghost in keys),
        "remembered": sum(bool(ghost.text and not ghost.steps) for ghost in keys),
        "passes per ghost text of the model": round(
            sum(ghost.steps for ghost in keys) / max(1, sum(bool(ghost.steps) for ghost in keys)), 2
        ),
    }


def measured(model: str, quantize: str) -> dict[str, Any]:
    """Runs both sessions, each with a server of its own."""
    arguments = [*(["--model", model] if model else []), *(["--quantize", quantize] if quantize else [])]
    text, gaps = document()
    found: dict[str, Any] = {}
    for name, rests in (("cursor rests", True), ("at once", False)):
        editor = Editor({"deadlineMs": 10_000}, arguments=arguments)
        try:
            editor.wait_until_ready(120, model)
            if rests:
                found["first reply after opening, ms"] = first_replies(editor, text, gaps[0])
            editor.open("file:///work/expenses.py", text)
            found[name] = figures(typed(editor, text, rests=rests))
            front, worker = editor.resident_megabytes()
            found[name] |= {"front_mb": round(front), "worker_mb": round(worker)}
        finally:
            editor.close()
    return found


def main() -> None:
    """Measures, prints a table, writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="", help="as for `unmask lsp`")
    parser.add_argument("--quantize", default="", help="precision of the weights")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    name = Path(arguments.model).stem or "embedded"
    out: Path = arguments.out or RESULTS / f"session-{name}.json"
    found = measured(arguments.model, arguments.quantize)
    show({kind: found[kind] for kind in ("cursor rests", "at once")})
    print(f"first reply after opening, ms: {found['first reply after opening, ms']}")
    write(out, {"model": name, "figures": found})


if __name__ == "__main__":
    main()
