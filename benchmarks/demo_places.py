"""Where the demo's file is typed into, and what comes back. Knows neither terminals nor downloads."""

from __future__ import annotations

import ast
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from editor import Editor, Ghost
from rapidfuzz.distance import Indel

FILE = Path(__file__).parent / "demo" / "expenses.py"
URI = f"file:///demo/{FILE.name}"
KEYS = 8
"""At most so many of a line's characters are typed; the ones before stand there already."""
KEY_S = 0.08
"""Between two keys."""
LOOK_S = 0.01
Verdict = Literal["as in the file", "parses", "does not parse", "nothing"]


@dataclass(frozen=True, slots=True)
class Place:
    """A cursor in the demo's file, whose text from there on is taken out."""

    kind: str
    """What a person writes there."""
    row: int
    before: str
    """The cursor's line up to the cursor."""
    hidden: str
    """What the file says from there on; nobody shows it to the server again before the next place."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A place and what was suggested there."""

    place: Place
    ghost: Ghost
    """Of the last key; its time is from sending that key's request to having read the reply."""
    verdict: Verdict
    similarity: float
    """Of the suggestion to the file's own text, in [0, 1]."""


# Written down before any model was asked; the demo shows them all.
_PLACES = (
    # what is written, the cursor's line before and after the cursor, lines that are taken out
    ("a line of a loop", "            ", 'day = date.fromisoformat(row["day"])', 1),
    ("the body behind a docstring", "    ", "return sum(expense.amount for", 1),
    ("a body of three lines", "    ", "if not expenses:", 3),
    ("a loop", "    for ", "expense in expenses:", 1),
    ("its body", "        totals[", "expense.category]", 1),
    ("a condition", "    return [expense for expense in expenses if ", "expense.day.year", 1),
    ("the arguments of a call", "    return sorted(", "expenses, key=", 1),
    ("more of them", '    parser.add_argument("--largest", ', "type=int", 1),
    ("the rest of a line", "    arguments = ", "parser.parse_args", 1),
    ("a file that is opened", "    with path.open(", "newline", 1),
    ("text to print", '        print(f"{category', ":20}", 1),
)


def places(lines: list[str]) -> list[Place]:
    """Returns the places of the demo's file, in the order in which they are shown.

    Raises:
        ValueError: when one is not there exactly once.
    """
    found = []
    for kind, before, after, n_lines in _PLACES:
        rows = [row for row, line in enumerate(lines) if line.startswith(before + after)]
        if len(rows) != 1:
            raise ValueError(f"{FILE.name} must hold {before + after!r} once, found it {len(rows)} times")
        taken = "\n".join(lines[rows[0] : rows[0] + n_lines])
        found.append(Place(kind, rows[0], before, taken.removeprefix(before)))
    return found


def type_at(
    editor: Editor, lines: Sequence[str], place: Place, watch: Callable[[str, str], None], key_s: float = KEY_S
) -> Ghost:
    """Opens the file without a place's text, types up to the cursor, and closes it.

    It was never there for the server: what a person has just deleted is not suggested again. Other requests than the
    last key's are not waited for: who types on does not.

    Args:
        editor: without a document.
        lines: of the file.
        place: where.
        watch: told what stands in the line and what is suggested behind it, whenever one of them changes.
        key_s: seconds between two keys.

    Returns:
        What is suggested after the last key.
    """
    column = len(place.before) - min(KEYS, len(place.before))
    below = lines[place.row + place.hidden.count("\n") + 1 :]
    editor.open(URI, "\n".join([*lines[: place.row], place.before[:column], *below]))
    ghost = Ghost("", 0.0, 0, 0)
    while column < len(place.before):
        key = place.before[column]
        editor.type(place.row, column, key)
        column += 1
        began, number = time.monotonic(), editor.start(place.row, column)
        goes_on = ghost.text[1:] if ghost.text.startswith(key) else ""
        watch(place.before[:column], goes_on)
        is_last = column == len(place.before)
        while not editor.is_answered(number) and (is_last or time.monotonic() < began + key_s):
            time.sleep(LOOK_S)
        ghost = editor.wait(number) if editor.is_answered(number) else Ghost(goes_on, 0.0, 0, 0)
        watch(place.before[:column], ghost.text)
        if not is_last:
            time.sleep(max(0.0, began + key_s - time.monotonic()))
    editor.close_document()
    return ghost


def judge(lines: list[str], place: Place, ghost: Ghost) -> Shown:
    """Compares a suggestion with what the file says there; nothing of it is run."""
    return Shown(
        place, ghost, _verdict(lines, place, ghost.text), Indel.normalized_similarity(ghost.text, place.hidden)
    )


def _verdict(lines: list[str], place: Place, text: str) -> Verdict:
    if not text:
        return "nothing"
    if text.rstrip() == place.hidden:
        return "as in the file"
    after = lines[place.row + place.hidden.count("\n") + 1 :]
    try:
        ast.parse("\n".join([*lines[: place.row], place.before + text, *after]))
    except (SyntaxError, ValueError):
        return "does not parse"
    return "parses"
