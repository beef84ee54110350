"""The pictures that show editors and the page: real ones, with real answers of real models.

    python benchmarks/pictures.py [--model qwen2.5-coder-0.5b]

Of Neovim its own grid is drawn; VS Code and the page are photographed in Chromium, by the drivers of the tests. Ghost
text is that of the model that is named. What is watched is a fill of the embedded one, which denoises with masks
everywhere. What is not there is left out, and said. Those of VS Code are in its extension, whose README shows them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo_places import FILE, places
from drawn import EXTENSION, VSCODE, editors
from editor import UNMASK
from neovim_screen import Grid, Screen, picture, save
from PIL import Image
from playground_picture import has_page, photographed
from records import BENCHMARKS, DOCS

DRIVER = BENCHMARKS.parent / "tests" / "editor_clients" / "vscode" / "pictures.mjs"
SUGGESTED, WATCHED = "a body of three lines", "the rest of a line"
"""Places of the demo's file."""
EMBEDDED = "embedded"
COLUMNS, ROWS = 102, 20
LONGEST_S, SETTLE_S = 60.0, 1.0
DEADLINE_MS = 60_000
"""Of a request: a machine that does other work makes the same pictures."""
MASKS = re.compile(r"[^\s░]░.* ([2-9]|\d\d+) passes")
LOOKS = (
    "set number laststatus=2 noshowmode noshowcmd noruler nowrap noautoindent cmdheight=0",
    "set statusline=\\ %f%=%{v:lua.require'unmask'.status()}\\ ",
)


@dataclass(frozen=True, slots=True)
class Scene:
    """A file with a cursor."""

    text: str
    line: int
    """From 1; the cursor is at its end."""


def scene(kind: str) -> Scene:
    """Returns the demo's file without what stands at a place of it."""
    lines = FILE.read_text("utf-8").splitlines()
    (place,) = (one for one in places(lines) if one.kind == kind)
    below = lines[place.row + place.hidden.count("\n") + 1 :]
    return Scene("\n".join([*lines[: place.row], place.before, *below]) + "\n", place.row + 1)


@dataclass(frozen=True, slots=True)
class Server:
    """A server, and the model that must have been loaded."""

    command: Sequence[str]
    model: str

    @classmethod
    def of(cls, model: str) -> Server:
        """Returns the server that we ship with a model."""
        return cls([str(UNMASK), "lsp", "--model", model], model)

    def slowly(self) -> Server:
        """Returns it with passes each of which stays for a second."""
        return Server([sys.executable, str(BENCHMARKS / "relay.py"), "--pause", "1", *self.command], self.model)


def suggested_in_neovim(program: str, server: Server, shown: Scene, folder: Path) -> list[Path]:
    """Photographs ghost text, the second of several suggestions, and their panel, with what a person asks for them by.

    Raises:
        SystemExit: when nothing of the kind is drawn.
    """
    with _neovim(program, server, shown, folder) as screen:
        return [
            _photographed(screen, "<M-\\>", Grid.behind_cursor, folder / "ghost.png"),
            _photographed(screen, "<M-]>", lambda grid: "(2/" in grid.behind_cursor(), folder / "alternatives.png"),
            _photographed(screen, "<Cmd>Unmask alternatives<CR>", _is_in_the_panel, folder / "panel.png"),
        ]


def watched_in_neovim(program: str, server: Server, shown: Scene, folder: Path) -> list[Path]:
    """Photographs a pass of a fill in which text and masks stand.

    Raises:
        SystemExit: when there is none.
    """
    with _neovim(program, server, shown, folder) as screen:
        keys, out = "<Cmd>Unmask watch<CR>", folder / "watch.png"
        return [_photographed(screen, keys, lambda grid: MASKS.search("\n".join(grid.lines())), out)]


def _is_in_the_panel(grid: Grid) -> bool:
    return "1 of" in "\n".join(grid.lines())


@contextmanager
def _neovim(program: str, server: Server, shown: Scene, folder: Path) -> Iterator[Screen]:
    (folder / FILE.name).write_text(shown.text, "utf-8")
    screen = Screen.with_client(program, server.command, COLUMNS, ROWS, preset="manual", deadlineInvokedMs=DEADLINE_MS)
    try:
        for command in (*LOOKS, f"cd {folder}", f"edit {FILE.name}"):
            screen.nvim.command(command)
        screen.wait_for_model(server.model)
        screen.nvim.current.window.cursor = (shown.line, 0)
        screen.nvim.input("zzA")
        screen.rest(SETTLE_S)
        yield screen
    finally:
        screen.close()


def _photographed(screen: Screen, keys: str, seen: Callable[[Grid], object], out: Path) -> Path:
    if screen.until(seen, keys, LONGEST_S) is None:
        raise SystemExit(f"{out.stem} in Neovim: not drawn; the screen is\n" + "\n".join(screen.grid.lines()))
    picture(screen.grid, out)
    return out


def in_vscode(scenario: str, server: Server, shown: Scene, folder: Path) -> tuple[list[Path], Mapping[str, Any]]:
    """Photographs VS Code: `suggested` ghost text, alternatives, the menu and the panel, `watched` a pass of a fill.

    Returns:
        The pictures, and what was seen.

    Raises:
        SystemExit: when something is not drawn.
    """
    settings = {
        "unmask.command": list(server.command),
        "unmask.preset": "manual",
        "unmask.deadlineInvokedMs": DEADLINE_MS,
    }
    arguments = [str(VSCODE), str(EXTENSION), str(folder), str(shutil.which("chromium")), json.dumps(settings)]
    done = subprocess.run(
        ["node", str(DRIVER), scenario, *arguments, FILE.name, str(shown.line), server.model],
        input=shown.text, capture_output=True, text=True, check=True,
    )  # fmt: skip
    seen = json.loads(done.stdout.splitlines()[-1])
    if "error" in seen:
        raise SystemExit(f"VS Code: {seen['error']}")
    return sorted(folder.glob("*.png")), seen


def kept(pictures: Sequence[Path], out: Path, prefix: str = "") -> None:
    """Puts pictures into a folder, with few colours and under longer names."""
    for file in pictures:
        target = out / (prefix + file.name)
        save(Image.open(file).convert("RGB"), target)
        print(f"{target}: {target.stat().st_size // 1000} kB")


def main() -> None:
    """Makes all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="qwen2.5-coder-0.5b")
    model, out = parser.parse_args().model, DOCS / "figures"
    found = editors()
    neovim = next((program for program in found.values() if program), None)
    suggested, watched = scene(SUGGESTED), scene(WATCHED)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folders = [Path(name) / one for one in ("neovim", "suggested", "watched")]
        for folder in folders:
            folder.mkdir()
        os.environ["XDG_STATE_HOME"] = f"{name}/state"
        named, embedded = Server.of(model), Server.of(EMBEDDED)
        if neovim:
            kept(suggested_in_neovim(neovim, named, suggested, folders[0]), out, "neovim-")
            kept(watched_in_neovim(neovim, embedded, watched, folders[0]), out, "neovim-")
        if "VS Code" in found:
            kept(in_vscode("suggested", named, suggested, folders[1])[0], EXTENSION / "media")
            kept(in_vscode("watched", embedded.slowly(), watched, folders[2])[0], EXTENSION / "media")
        if has_page():
            kept([asyncio.run(photographed(model, folders[0] / "playground.png"))], out)
    for name, is_there in {"Neovim": neovim, "VS Code": "VS Code" in found, "the page's driver": has_page()}.items():
        if not is_there:
            print(f"{name} is not there: its pictures are as they were")


if __name__ == "__main__":
    main()
