"""Request to reply through the real server over stdio, and what drafts and a kept cache save; memory.

    .venv/bin/python benchmarks/latency.py [--out benchmarks/results/latency.json]

Every variant sees the same documents in the same run: the figures to trust are the ratios between them.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from session import Editor

from coder_model.evaluation.metrics import percentile
from coder_model.evaluation.run import facts

CONTEXT_CHARS = 1_500
DOCUMENTS = 40
VARIANTS: dict[str, dict[str, Any]] = {
    "as shipped": {},
    "one token at a time": {"policy": "one_token"},
    "no kept cache": {"reuse": False},
}


def document(number: int) -> tuple[str, int]:
    """Returns a text with about `CONTEXT_CHARS` before an unfinished line, and that line's number."""
    nouns = ["order", "invoice", "customer", "parcel", "ticket", "account", "device", "message"]
    lines = ['"""Records of a shop."""', "", "import json", "from datetime import datetime", "", ""]
    row = 0
    while sum(map(len, lines)) + len(lines) < CONTEXT_CHARS:
        noun = nouns[(number + row) % len(nouns)]
        lines += [
            f"def load_{noun}_{row}(path, limit={row + number}):",
            f'    """Read up to limit {noun}s."""',
            "    with open(path) as file:",
            "        rows = json.load(file)",
            f"    return [{noun} for {noun} in rows[:limit] if {noun}]",
            "",
            "",
        ]
        row += 1
    noun = nouns[number % len(nouns)]
    lines += [f"def save_{noun}(path, {noun}s):", '    with open(path, "w") as file:', "        json.du"]
    after = ["", "", 'if __name__ == "__main__":', "    print(datetime.now())", ""]
    return "\n".join(lines + after), len(lines) - 1


def measure(options: dict[str, Any]) -> dict[str, Any]:
    """Returns the milliseconds of cold requests, of one more key, and of a block hole, and the memory.

    The first key goes along the suggestion, the second one does not and so asks the model.
    """
    editor = Editor({"deadlineMs": 30_000, "preset": "eager", **options})
    editor.wait_until_ready()
    cold, along, typed, block, steps, tokens = [], [], [], [], 0, 0
    for number in range(DOCUMENTS):
        text, row = document(number)
        column = len(text.split("\n")[row])
        editor.open(f"file:///bench/{number}.py", text)
        ghost = editor.ask(row, column)
        cold.append(ghost.milliseconds)
        if ghost.text:
            editor.type(row, column, ghost.text[0])
            along.append(editor.ask(row, column + 1).milliseconds)
            column += 1
        editor.type(row, column, "q")
        ghost = editor.ask(row, column + 1)
        typed.append(ghost.milliseconds)
        steps, tokens = steps + ghost.steps, tokens + ghost.tokens
        if number % 4 == 0:
            editor.type(row, column + 1, "p(0, file)\n\n\ndef count_all(rows):\n    ")
            block.append(editor.ask(row + 4, 4).milliseconds)
    front, worker = editor.resident_megabytes()
    editor.close()
    return {
        **{
            f"{name}_{what}_ms": round(percentile(times, q), 1)
            for name, times in (("cold", cold), ("typed_along", along), ("one_more_key", typed), ("block", block))
            for what, q in (("p50", 50), ("p95", 95))
        },
        "one_more_key_over_cold": round(statistics.median(t / c for t, c in zip(typed, cold, strict=True)), 3),
        "tokens_per_step": round(tokens / max(1, steps), 2),
        "front_mb": round(front, 1),
        "worker_mb": round(worker, 1),
    }


def main() -> None:
    """Measures every variant, prints a table, writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/latency.json"))
    out: Path = parser.parse_args().out
    found = {name: measure(options) for name, options in VARIANTS.items()}
    record = {**facts(), "context_chars": CONTEXT_CHARS, "documents": DOCUMENTS, "variants": found}
    out.write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    table = Table("", *found)
    for row in next(iter(found.values())):
        table.add_row(row, *(str(figures[row]) for figures in found.values()))
    Console().print(table)
    print(f"written to {out}")


if __name__ == "__main__":
    main()
