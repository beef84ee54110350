"""Where the holes of an open document are: which of them are meant, and what the protocol calls their places."""

from __future__ import annotations

from dataclasses import dataclass

from coder_model.text.holes import Hole, holes_in, nearest
from lsp_server.documents import Document, Position, without_surrogates
from lsp_server.passages import rows_around

MOST_HOLES = 32
"""Holes that are filled together."""
WINDOW_CHARS = 48_000
"""Code points on either side of the cursor, or of the start of a selection, in which holes are looked for."""


@dataclass(frozen=True, slots=True)
class FoundHoles:
    """The holes that are meant, in one state of a document."""

    document: Document
    revision: int
    text: str
    """Whole lines around the cursor."""
    row: int
    """Of the first one."""
    holes: tuple[Hole, ...]
    """In `text`; the nearest to the cursor, where there are too many."""
    total: int
    """How many there are."""

    @property
    def number(self) -> str:
        """How many are meant, for people."""
        count = len(self.holes)
        return str(count) if count == self.total else f"the nearest {count} of {self.total}"

    @property
    def is_current(self) -> bool:
        """False once the document was edited."""
        return self.document.revision == self.revision

    def span(self, hole: Hole) -> tuple[Position, Position]:
        """Returns start and end of a hole, in the units of the protocol; as long as `is_current`."""
        return self._position(hole.start), self._position(hole.end)

    def _position(self, offset: int) -> Position:
        row = self.row
        while offset > len(self.document.lines[row].rstrip("\r\n")):
            offset -= len(self.document.lines[row])
            row += 1
        return self.document.position(row, offset)


def find_holes(document: Document, start: Position, end: Position) -> FoundHoles:
    """Returns the holes that a range touches; those around it when it is empty."""
    (row, column), (last_row, last_column) = sorted((document.place(start), document.place(end)))
    first, behind = rows_around(document.lines, row, row, WINDOW_CHARS, WINDOW_CHARS)
    text = without_surrogates("".join(document.lines[first:behind]))
    holes = holes_in(text, document.language, document.uri.endswith(".pyi"))
    at = sum(map(len, document.lines[first:row])) + column
    if (row, column) != (last_row, last_column):
        until = sum(map(len, document.lines[first:last_row])) + last_column
        holes = tuple(hole for hole in holes if hole.start < until and hole.end > at)
    return FoundHoles(document, document.revision, text, first, nearest(holes, at, MOST_HOLES), len(holes))
