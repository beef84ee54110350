"""From a key to ghost text on the screen, in real editors: Neovim's own grid, and VS Code's window in Chromium.

    python benchmarks/drawn.py [--model embedded] [--places 30] [--out benchmarks/results/drawn.json]

Each place is a line of a file that ends where the cursor is. `asked`: the key that asks by hand, the model answers
anew. `typed`: the first character of the ghost text that is there, after which the rest of it is to be drawn. An editor
that is not there is left out. Beside it stands what the server took, from the request behind the key to the
answer with which something is shown, as `relay.py` between the two saw it.
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
from functools import partial
from pathlib import Path
from typing import Any

from neovim_screen import Grid, Screen
from records import BENCHMARKS, show, write

from coder_model.evaluation.metrics import percentile

UNMASK = Path(sys.executable).parent / "unmask"
TEXT = (BENCHMARKS / "demo" / "inventory.py").read_text("utf-8")
ROOT = BENCHMARKS.parent
VSCODE = Path(os.environ.get("UNMASK_VSCODE", ROOT / "tools" / "vscode"))
EXTENSION = ROOT / "editor_clients" / "vscode"
LONGEST_S, SETTLE_S = 5.0, 1.0
"""A wait for ghost text, and the pause before a key."""
COLUMNS, ROWS = 160, 100


@dataclass(frozen=True, slots=True)
class Key:
    """A key that was pressed."""

    ms: float | None
    """Until ghost text was drawn; None where it was not."""
    at: float
    """When, in seconds since 1970."""


Keys = dict[str, list[Key]]
"""By kind."""


@dataclass(frozen=True, slots=True)
class Line:
    """A place."""

    number: int
    """From 0."""
    start: str
    """What stands before the cursor."""


def places(count: int) -> list[Line]:
    """Returns lines of the text that go on behind ` = `, `return ` or `(`, evenly spread."""
    found = []
    for number, line in enumerate(TEXT.splitlines()):
        for mark in (" = ", "return ", "("):
            start, is_there, rest = line.partition(mark)
            if is_there and rest[:1].isalnum():
                found.append(Line(number, start + mark))
                break
    step = max(1, len(found) // count)
    return found[::step][:count]


def in_neovim(program: str, server: list[str], model: str, lines: list[Line], folder: Path) -> Keys:
    """Returns what the keys take in a Neovim."""
    file = folder / "inventory.py"
    file.write_text(TEXT, "utf-8")
    screen = Screen.with_client(program, server, COLUMNS, ROWS, preset="eager")
    nvim = screen.nvim
    nvim.command(f"edit {file}")
    nvim.command("setlocal noautoindent indentexpr= nowrap scrolloff=30")
    screen.wait_for_model(model)
    keys: Keys = {"asked": [], "typed": []}
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
        shown = screen.grid.behind_cursor()
        at = time.time()
        if kind == "asked":
            ms = screen.until(Grid.behind_cursor, "<M-\\>", LONGEST_S)
        else:
            ms = screen.until(partial(_is_left, shown[1:]), shown[0], LONGEST_S) if shown[1:] else None
        keys[kind].append(Key(ms, at))
    screen.close()
    return keys


def _is_left(rest: str, grid: Grid) -> bool:
    return grid.behind_cursor() == rest.strip()


def in_vscode(server: list[str], lines: list[Line], folder: Path) -> Keys:
    """Returns what the keys take in VS Code, from the event of the key to the frame behind the drawing."""
    settings = {"unmask.command": server, "unmask.preset": "eager"}
    asked = [{"kind": kind, "number": line.number, "start": line.start} for kind, line in both(lines)]
    chromium = shutil.which("chromium")
    assert chromium
    driver = BENCHMARKS / "drawn.mjs"
    arguments = [str(VSCODE), str(EXTENSION), str(folder), chromium, json.dumps(settings), json.dumps(asked)]
    done = subprocess.run(["node", str(driver), *arguments], input=TEXT, capture_output=True, text=True, check=True)
    said = json.loads(done.stdout.splitlines()[-1])
    if "error" in said:
        raise SystemExit(f"VS Code: {said['error']}")
    return {kind: [Key(**one) for one in some] for kind, some in said["times"].items()}


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


def figures(keys: Keys, answers: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns percentiles of what was drawn and of what the server took for that, and how often nothing was drawn.

    Args:
        keys: by kind.
        answers: of the server, each with `at`, `ms` and `shows`.
    """
    found: dict[str, Any] = {}
    for kind, pressed in keys.items():
        drawn = [key.ms for key in pressed if key.ms is not None]
        served = [took for key in pressed if key.ms is not None if (took := answer_to(key, answers)) is not None]
        for name, times in {"": drawn, "server, ": served}.items():
            for q in (50, 95):
                found[f"{kind}, {name}p{q} ms"] = round(percentile(times, q), 1) if times else None
        found[f"{kind}, drawn"] = f"{len(drawn)} of {len(pressed)}"
    return found


def answer_to(key: Key, answers: list[dict[str, Any]]) -> float | None:
    """Returns the ms of the first request behind a key, and before it was drawn, that something was shown for.

    Returns:
        None where the editor drew without asking.
    """
    drawn_at = key.at + (key.ms or 0.0) / 1000
    return next((one["ms"] for one in answers if key.at <= one["at"] < drawn_at and one["shows"]), None)


def main() -> None:
    """Measures all editors that are there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--places", type=int, default=30)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    lines = places(arguments.places)
    columns = {}
    for name, program in editors().items():
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as made:
            folder = Path(made)
            os.environ["XDG_STATE_HOME"] = f"{made}/state"
            relay = [sys.executable, str(BENCHMARKS / "relay.py"), "--times", f"{made}/times"]
            server = [*relay, str(UNMASK), "lsp", "--model", arguments.model]
            is_neovim = name.startswith("Neovim")
            keys = (
                in_neovim(program, server, arguments.model, lines, folder)
                if is_neovim
                else in_vscode(server, lines, folder)
            )
            answers = sorted(map(json.loads, (folder / "times").read_text().splitlines()), key=lambda one: one["at"])
            columns[name] = figures(keys, answers)
    show(columns)
    if arguments.out:
        write(arguments.out, {"model": arguments.model, "places": len(lines), "editors": columns})


if __name__ == "__main__":
    main()
