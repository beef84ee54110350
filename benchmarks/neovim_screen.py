"""Neovim with a user interface of ours: its grid as it draws it, and a picture of that grid."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from records import BENCHMARKS

CLIENT = BENCHMARKS.parent / "editor_clients" / "neovim"
Cell = tuple[str, int]
"""What stands in a cell, empty behind a character of two cells, and the number of its highlight."""


@dataclass
class Grid:
    """What is on the screen, by the events of `ext_linegrid`."""

    rows: list[list[Cell]]
    highlights: dict[int, dict[str, Any]] = field(default_factory=dict)
    """By number: `foreground` and `background` as 0xRRGGBB, `bold`, `italic`, `reverse`, ..."""
    foreground: int = 0xFFFFFF
    background: int = 0
    cursor: tuple[int, int] = (0, 0)

    def lines(self) -> list[str]:
        """Returns the text of each row."""
        return ["".join(text for text, _ in row) for row in self.rows]

    def behind_cursor(self) -> str:
        """Returns what stands behind the cursor, without blanks around it."""
        row, column = self.cursor
        return "".join(text for text, _ in self.rows[row][column:]).strip()

    def take(self, batches: list[Any]) -> bool:
        """Takes what was drawn; True when the screen is whole again."""
        is_whole = False
        for name, *events in batches:
            for event in events:
                self._take(name, event)
            is_whole = is_whole or name == "flush"
        return is_whole

    def _take(self, name: str, event: list[Any]) -> None:
        if name == "grid_line":
            self._draw(*event[1:4])
        elif name == "grid_cursor_goto":
            self.cursor = event[1], event[2]
        elif name == "grid_clear":
            self.rows = [[(" ", 0)] * len(row) for row in self.rows]
        elif name == "grid_scroll":
            self._scroll(*event[1:6])
        elif name == "hl_attr_define":
            self.highlights[event[0]] = event[1]
        elif name == "default_colors_set":
            self.foreground, self.background = event[0], event[1]

    def _draw(self, row: int, column: int, cells: list[list[Any]]) -> None:
        highlight = 0
        for text, *more in cells:
            # without a number it is that of the cell before
            highlight = more[0] if more else highlight
            count = more[1] if len(more) > 1 else 1
            self.rows[row][column : column + count] = [(text, highlight)] * count
            column += count

    def _scroll(self, top: int, bottom: int, left: int, right: int, count: int) -> None:
        old = [row[left:right] for row in self.rows]
        for row in range(max(top, top - count), min(bottom, bottom - count)):
            self.rows[row][left:right] = old[row + count]


class Screen:
    """A Neovim, and what it draws."""

    def __init__(self, arguments: Sequence[str], columns: int, rows: int) -> None:
        """Starts it.

        Args:
            arguments: the program with `--embed`, and what it is told.
            columns: of the screen.
            rows: of the screen.
        """
        import pynvim  # type: ignore[import-untyped]

        self.nvim = pynvim.attach("child", argv=list(arguments))
        self.grid = Grid([[(" ", 0)] * columns for _ in range(rows)])
        self.nvim.ui_attach(columns, rows, rgb=True, ext_linegrid=True)

    @classmethod
    def with_client(
        cls, program: str, command: Sequence[str], columns: int, rows: int, **settings: str | int
    ) -> Screen:
        """Starts one with nothing but the client that we ship, which says nothing.

        Args:
            program: the Neovim.
            command: the server's.
            columns: of the screen.
            rows: of the screen.
            settings: what the server is told, as `docs/usage.md` has it.
        """
        made = cls([program, "--embed", "-n", "--clean", "--cmd", f"set runtimepath^={CLIENT}"], columns, rows)
        made.nvim.exec_lua("vim.notify = function() end")
        made.nvim.exec_lua("require('unmask').setup(...)", {"cmd": list(command), "settings": settings})
        return made

    def wait_for_model(self, model: str, seconds: float = 240.0) -> None:
        """Waits until the server answers with a model.

        Raises:
            SystemExit: when it does not, with what it said last.
        """
        said = "return (require('unmask').last_status() or {}).message or ''"
        end = time.monotonic() + seconds
        while not (message := self.nvim.exec_lua(said)).startswith(f"on: {model}"):
            if time.monotonic() > end:
                raise SystemExit(f"the server in Neovim does not answer: {message or 'it has said nothing'}")
            self.rest(0.1)

    def until(self, seen: Callable[[Grid], object], keys: str, seconds: float) -> float | None:
        """Presses keys; returns the milliseconds until something is seen on a whole screen, None where it is not."""
        found: list[float] = []
        began = 0.0

        def press() -> None:
            nonlocal began
            began = time.perf_counter()
            self.nvim.input(keys)

        def heard(name: str, batches: list[Any]) -> None:
            if name == "redraw" and self.grid.take(batches) and not found and seen(self.grid):
                found.append((time.perf_counter() - began) * 1000)
                self.nvim.stop_loop()

        self._listen(seconds, heard, press)
        return found[0] if found else None

    def rest(self, seconds: float) -> None:
        """Takes what is drawn meanwhile."""
        self._listen(seconds, lambda name, batches: self.grid.take(batches) if name == "redraw" else None, lambda: None)

    def close(self) -> None:
        """Ends it, with its server."""
        with contextlib.suppress(EOFError, OSError):
            self.nvim.command("qa!")
        self.nvim.close()

    def _listen(self, seconds: float, heard: Callable[[str, list[Any]], object], begin: Callable[[], None]) -> None:
        timer = threading.Timer(seconds, lambda: self.nvim.async_call(self.nvim.stop_loop))
        timer.start()
        self.nvim.run_loop(lambda *_: None, heard, begin)
        timer.cancel()


def picture(grid: Grid, out: Path, size: int = 20) -> None:
    """Writes a grid as a PNG: every cell in the colours and the style that Neovim gave it, the cursor as a bar.

    Args:
        grid: a screen, in insert mode.
        out: the file.
        size: of the letters, in pixels.
    """
    import matplotlib as mpl
    from PIL import Image, ImageDraw, ImageFont

    fonts = Path(mpl.get_data_path()) / "fonts" / "ttf"
    kinds = {(False, False): "", (True, False): "-Bold", (False, True): "-Oblique", (True, True): "-BoldOblique"}
    letters = {kind: ImageFont.truetype(fonts / f"DejaVuSansMono{name}.ttf", size) for kind, name in kinds.items()}
    width, height = round(letters[False, False].getlength("m")), round(size * 1.3)
    image = Image.new("RGB", (width * len(grid.rows[0]), height * len(grid.rows)), f"#{grid.background:06x}")
    draw = ImageDraw.Draw(image)
    for y, row in enumerate(grid.rows):
        for x, (text, number) in enumerate(row):
            style = grid.highlights.get(number, {})
            front, back = style.get("foreground", grid.foreground), style.get("background", grid.background)
            if style.get("reverse"):
                front, back = back, front
            corner = x * width, y * height
            wide = 2 if x + 1 < len(row) and not row[x + 1][0] else 1
            if text:
                draw.rectangle((*corner, corner[0] + wide * width - 1, corner[1] + height - 1), fill=f"#{back:06x}")
            kind = bool(style.get("bold")), bool(style.get("italic"))
            draw.text((corner[0], corner[1] + size * 0.12), text, fill=f"#{front:06x}", font=letters[kind])
    y, x = grid.cursor
    draw.rectangle((x * width, y * height, x * width + 1, (y + 1) * height - 1), fill=f"#{grid.foreground:06x}")
    save(image, out)


def save(image: Any, out: Path) -> None:
    """Writes an image with as few colours as letters need, so that it is small.

    Args:
        image: of Pillow, RGB.
        out: a PNG file.
    """
    image.quantize(128, dither=0).save(out, optimize=True)
