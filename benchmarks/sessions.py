"""Typing sessions replayed through the real server, and a long one for its memory.

    .venv/bin/python benchmarks/sessions.py [--keys 400] [--soak-minutes 0] [--out benchmarks/results/sessions.json]

A file is written key by key, 150 to 200 ms apart, and at each key ghost text is asked for. One client cancels what is
still open at the next key, as VS Code does; the other one never does, as Neovim. The soak types without pauses into
documents that open and close.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from session import Editor, Ghost

from coder_model.evaluation.metrics import percentile
from coder_model.evaluation.run import facts
from lsp_server.usage_stats import read_records, total

SOURCE = Path(__file__).parent / "demo" / "inventory.py"
PAUSE_S = (0.15, 0.2)
SKIP_LINES = 8
"""Lines of the file that stand there already."""
SOAK_KEYS = 200
"""Keys typed into a document before it closes."""


def source() -> tuple[list[str], str]:
    """Returns the lines that stand in the file, and the text that is typed behind them."""
    lines = SOURCE.read_text("utf-8").splitlines()
    return lines[:SKIP_LINES], "\n".join(lines[SKIP_LINES:])


def replay(keys: int, *, cancels: bool) -> dict[str, Any]:
    """Types `keys` characters; returns the latencies and what the model did for them."""
    rng = random.Random(11)
    head, typed = source()
    with tempfile.TemporaryDirectory() as state:
        editor = Editor({"deadlineMs": 10_000}, {"XDG_STATE_HOME": state})
        editor.wait_until_ready()
        editor.open("file:///work/inventory.py", "\n".join(head) + "\n")
        row, column = len(head), 0
        asked: list[int] = []
        for char in (typed * (1 + keys // len(typed)))[:keys]:
            if cancels and asked and not editor.is_answered(asked[-1]):
                editor.cancel(asked[-1])
            editor.type(row, column, char)
            row, column = (row + 1, 0) if char == "\n" else (row, column + 1)
            asked.append(editor.start(row, column))
            time.sleep(rng.uniform(*PAUSE_S))
        ghosts = [editor.wait(number) for number in asked]
        front, worker = editor.resident_megabytes()
        editor.close()
        counts = total(read_records(Path(state) / "unmask" / "statistics")).counts
    return {**_latencies(ghosts), **_use_of_the_model(ghosts, counts), "front_mb": front, "worker_mb": worker}


def _latencies(ghosts: list[Ghost]) -> dict[str, float]:
    shown = [ghost.milliseconds for ghost in ghosts if ghost.text]
    times = [ghost.milliseconds for ghost in ghosts]
    return {
        "requests": len(ghosts),
        "shown": len(shown),
        **{f"p{q}_ms": round(percentile(times, q), 1) for q in (50, 95)},
        **{f"shown_p{q}_ms": round(percentile(shown, q), 1) for q in (50, 95)},
    }


def _use_of_the_model(ghosts: list[Ghost], counts: dict[str, int]) -> dict[str, float]:
    """Fills per ghost text, and the fills whose result nobody saw."""
    fills = counts.get("fills", 0)
    by_model = sum(bool(ghost.text and ghost.tokens) for ghost in ghosts)
    shown = sum(bool(ghost.text) for ghost in ghosts)
    return {
        "remembered": counts.get("remembered", 0),
        "fills": fills,
        "fills_per_shown": round(fills / max(1, shown), 2),
        "fills_not_shown": fills - by_model,
        "of_them_unlikely": counts.get("unlikely", 0),
    }


def soak(minutes: float) -> dict[str, Any]:
    """Types without pauses for some minutes; returns the memory at the start and at the end."""
    head, typed = source()
    editor = Editor({"deadlineMs": 10_000})
    editor.wait_until_ready()
    began, keys, documents = time.monotonic(), 0, 0
    first: tuple[float, float] | None = None
    while (minutes_so_far := (time.monotonic() - began) / 60) < minutes:
        editor.open(f"file:///work/{documents}.py", "\n".join(head) + "\n")
        row, column = len(head), 0
        start = documents * 37 % len(typed)
        for char in (typed[start:] + typed)[:SOAK_KEYS]:
            editor.type(row, column, char)
            row, column = (row + 1, 0) if char == "\n" else (row, column + 1)
            editor.ask(row, column)
            keys += 1
        editor.close_document()
        documents += 1
        if first is None and minutes_so_far > minutes / 10:
            first = editor.resident_megabytes()
    last = editor.resident_megabytes()
    editor.close()
    assert first
    grown = {name: round(b - a, 1) for name, a, b in zip(("front", "worker"), first, last, strict=True)}
    return {"minutes": minutes, "keys": keys, "documents": documents, "grown_mb": grown, "front_mb": last[0]}


def main() -> None:
    """Replays both clients, soaks when asked to, prints a table, writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=400)
    parser.add_argument("--soak-minutes", type=float, default=0)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/sessions.json"))
    arguments = parser.parse_args()
    clients = {"cancels, as VS Code": True, "never cancels, as Neovim": False}
    found = {name: replay(arguments.keys, cancels=cancels) for name, cancels in clients.items()}
    record = {**facts(), "keys": arguments.keys, "clients": found}
    if arguments.soak_minutes:
        record["soak"] = soak(arguments.soak_minutes)
        print(record["soak"])
    arguments.out.write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    table = Table("", *found)
    for row in next(iter(found.values())):
        table.add_row(row, *(str(figures[row]) for figures in found.values()))
    Console().print(table)
    print(f"written to {arguments.out}")


if __name__ == "__main__":
    main()
