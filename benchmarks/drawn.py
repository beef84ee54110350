"""From a key to ghost text on the screen, in real editors: Neovim's own grid, and VS Code's window in Chromium.

    python benchmarks/drawn.py [--model embedded] [--places 30] [--out benchmarks/results/drawn.json]

Each place is a line of a file that ends where the cursor is. `asked`: the key that asks by hand, the model answers
anew. `typed`: the next character of the line, as it was, is typed; what fits the ghost text is drawn on at once. An
editor that is not there is left out. Beside it stands what the server itself took for the requests of the run.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neovim_screen import Grid, Screen
from records import BENCHMARKS, show, write

from coder_model.evaluation.metrics import percentile
from lsp_server.usage_stats import read_days, total

UNMASK = Path(sys.executable).parent / "unmask"
TEXT = (BENCHMARKS / "demo" / "inventory.py").read_text("utf-8")
ROOT = BENCHMARKS.parent
VSCODE = Path(os.environ.get("UNMASK_VSCODE", ROOT / "tools" / "vscode"))
EXTENSION = ROOT / "editor_clients" / "vscode"
LONGEST_S, SETTLE_S = 5.0, 1.0
"""A wait for ghost text, and the pause before a key."""
COLUMNS, ROWS = 160, 100
Times = dict[str, list[float | None]]
"""Milliseconds by kind of key; None where nothing was drawn."""


@dataclass(frozen=True, slots=True)
class Line:
    """A place."""

    number: int
    """From 0."""
    start: str
    """What stands before the cursor."""
    key: str
    """What is typed there."""


def places(count: int) -> list[Line]:
    """Returns lines of the text that go on behind ` = `, `return ` or `(`, evenly spread."""
    found = []
    for number, line in enumerate(TEXT.splitlines()):
        for mark in (" = ", "return ", "("):
            start, is_there, rest = line.partition(mark)
            if is_there and rest[:1].isalnum():
                found.append(Line(number, start + mark, rest[0]))
                break
    step = max(1, len(found) // count)
    return found[::step][:count]


def in_neovim(program: str, model: str, lines: list[Line], folder: Path) -> Times:
    """Returns what the keys take in a Neovim."""
    file = folder / "inventory.py"
    file.write_text(TEXT, "utf-8")
    screen = Screen.with_client(program, [str(UNMASK), "lsp", "--model", model], COLUMNS, ROWS, preset="eager")
    nvim = screen.nvim
    nvim.command(f"edit {file}")
    nvim.command("setlocal noautoindent indentexpr= nowrap scrolloff=30")
    screen.wait_for_model(model)
    times: Times = {"asked": [], "typed": []}
    for kind, line in both(lines):
        nvim.input("<Esc>")
        nvim.current.buffer[:] = TEXT.splitlines()
        nvim.current.buffer[line.number] = line.start
        nvim.current.window.cursor = (line.number + 1, 0)
        nvim.input("A")
        screen.rest(SETTLE_S)
        if kind == "asked":
            nvim.input("<C-]>")
            screen.rest(SETTLE_S)
        times[kind].append(screen.until(Grid.behind_cursor, "<M-\\>" if kind == "asked" else line.key, LONGEST_S))
    screen.close()
    return times


def in_vscode(model: str, lines: list[Line], folder: Path) -> Times:
    """Returns what the keys take in VS Code, from the event of the key to the frame behind the drawing."""
    settings = {"unmask.command": [str(UNMASK), "lsp", "--model", model], "unmask.preset": "eager"}
    asked = [{"kind": kind, "number": line.number, "start": line.start, "key": line.key} for kind, line in both(lines)]
    chromium = shutil.which("chromium")
    assert chromium
    driver = BENCHMARKS / "drawn.mjs"
    arguments = [str(VSCODE), str(EXTENSION), str(folder), chromium, json.dumps(settings), json.dumps(asked)]
    done = subprocess.run(["node", str(driver), *arguments], input=TEXT, capture_output=True, text=True, check=True)
    said = json.loads(done.stdout.splitlines()[-1])
    if "error" in said:
        raise SystemExit(f"VS Code: {said['error']}")
    found: Times = said["times"]
    return found


def both(lines: list[Line]) -> Iterator[tuple[str, Line]]:
    """Yields each kind of key at each place."""
    for line in lines:
        yield "asked", line
        yield "typed", line


def editors() -> dict[str, str]:
    """Returns the editors that are there: the program of a Neovim, empty for VS Code."""
    sys.path.insert(0, str(ROOT / "tests" / "support"))
    from neovim import VERSIONS, find_neovim

    found = {f"Neovim {version}": path for version in VERSIONS if (path := find_neovim(version))}  # type: ignore[no-untyped-call]
    has_vscode = (VSCODE / "vscode" / "out" / "server-main.js").exists() and (EXTENSION / "dist").is_dir()
    return found | ({"VS Code": ""} if has_vscode and shutil.which("chromium") else {})


def figures(times: Times, state: Path) -> dict[str, Any]:
    """Returns percentiles of what was drawn, how often nothing was, and what the server took."""
    found: dict[str, Any] = {}
    for kind, values in times.items():
        drawn = [value for value in values if value is not None]
        for q in (50, 95):
            found[f"{kind}, p{q} ms"] = round(percentile(drawn, q), 1) if drawn else None
        found[f"{kind}, drawn"] = f"{len(drawn)} of {len(values)}"
    server = total(read_days(state / "unmask" / "statistics").values())
    return found | {f"server, p{q} ms": round(server.percentile(q), 1) for q in (50, 95) if server.milliseconds}


def main() -> None:
    """Measures all editors that are there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--places", type=int, default=30)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    lines = places(arguments.places)
    columns = {}
    for name, program in editors().items():
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            state = os.environ["XDG_STATE_HOME"] = folder + "/state"
            times = (
                in_neovim(program, arguments.model, lines, Path(folder))
                if program
                else in_vscode(arguments.model, lines, Path(folder))
            )
            # the server writes its counts when it ends
            time.sleep(SETTLE_S)
            columns[name] = figures(times, Path(state))
    show(columns)
    if arguments.out:
        write(arguments.out, {"model": arguments.model, "places": len(lines), "editors": columns})


if __name__ == "__main__":
    main()
