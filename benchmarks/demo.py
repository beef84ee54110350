"""The main job, shown: a real server, a real file, keys typed one by one, and the ghost text that comes.

make demo
"""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.text import Text
from session import Editor, Ghost

FILE = Path(__file__).parent / "demo" / "inventory.py"
PLACES = [
    # text that a line of the file ends in, and what is typed after it, on new lines where it says so
    ("    def remove(self, name: str) -> None:", "\n        if name not in self.items:\n            "),
    ("    def total_value(self) -> float:", "\n        return sum(item.pri"),
    ("    def to_json(self) -> str:", "\n        return json."),
    ("    def find(self, name: str) -> Item | None:", "\n        "),
    ("def load(path: str) -> Inventory:", '\n    with open(path, encoding="utf-8") as '),
    ("def main() -> None:", "\n    parser = argparse.ArgumentParser("),
]


def main() -> None:
    """Types at several places of the demo file and prints each ghost text."""
    console = Console(highlight=False)
    console.print(f"starting the language server, opening {FILE.name}", style="dim")
    editor = Editor({"preset": "eager"})
    editor.wait_until_ready()
    front, worker = editor.resident_megabytes()
    console.print(f"ready: front {front:.0f} MB, worker with the model {worker:.0f} MB", style="dim")
    for number, (line_end, typed) in enumerate(PLACES):
        show(console, editor, number, line_end, typed)
    editor.close()


def show(console: Console, editor: Editor, number: int, line_end: str, typed: str) -> None:
    """Opens the file afresh, types after a line, asks after every key as an editor does, and prints the last answer."""
    text = FILE.read_text("utf-8")
    lines = text.split("\n")
    row = lines.index(line_end)
    editor.open(f"file:///demo/{number}/{FILE.name}", text)
    column = len(lines[row])
    ghost = Ghost("", 0.0, 0, 0)
    for key in typed:
        editor.type(row, column, key)
        row, column = (row + 1, 0) if key == "\n" else (row, column + 1)
        ghost = editor.ask(row, column)
    console.rule(style="dim")
    console.print(Text.assemble((line_end, "dim"), typed, (ghost.text or "(nothing)", "bold green")))
    how = "typed along what was suggested before" if ghost.text else "nothing found"
    if ghost.steps:
        how = f"{ghost.tokens} tokens, {ghost.steps} steps, {ghost.tokens / ghost.steps:.1f} tokens per step"
    console.print(f"{how}, {ghost.milliseconds:.0f} ms", style="cyan")


if __name__ == "__main__":
    main()
