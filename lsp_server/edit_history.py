"""The last edits of all open documents, as a person made them: keys that follow each other are one edit.

Kept in memory only, few and short. Knows nothing of privacy: whoever shows an edit of one document beside another one
asks whether it may.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

MOST_EDITS = 16
MOST_CHARS = 4_000
"""Code points of the lines of an edit, before and after: what is larger is forgotten."""


@dataclass(frozen=True, slots=True)
class RecentEdit:
    """Lines that took the place of others."""

    uri: str
    row: int
    """Of the first line, in the document as it is now."""
    before: tuple[str, ...]
    """Lines with their ends, as those of a document; never none."""
    after: tuple[str, ...]
    left: int
    """Code points at the start of the first line that stayed."""
    right: int
    """Code points at the end of the last line that stayed."""

    @property
    def texts(self) -> tuple[str, str]:
        """The lines before and after."""
        return "".join(self.before), "".join(self.after)

    def is_in(self, lines: Sequence[str]) -> bool:
        """Returns whether its lines are in a document as it left them."""
        return tuple(lines[self.row : self.row + len(self.after)]) == self.after

    def diff(self, name: str) -> str:
        """Returns it as a unified diff of a file."""
        old, new = ([line.rstrip("\r\n") for line in lines] for lines in (self.before, self.after))
        at = f"@@ -{self.row + 1},{len(old)} +{self.row + 1},{len(new)} @@"
        lines = [f"--- {name}", f"+++ {name}", at, *(f"-{line}" for line in old), *(f"+{line}" for line in new)]
        return "\n".join(lines)


class EditHistory:
    """The edits of all documents, in order."""

    def __init__(self) -> None:
        self._edits: list[RecentEdit] = []

    def latest(self, uri: str | None = None) -> list[RecentEdit]:
        """Returns the edits of a document, or of all, the newest first."""
        return [edit for edit in reversed(self._edits) if uri is None or edit.uri == uri]

    def note(self, uri: str, row: int, before: Sequence[str], after: Sequence[str]) -> None:
        """Takes note of a change.

        Args:
            uri: of the document.
            row: of the first line that changed.
            before: whole lines that are gone.
            after: whole lines in their place.
        """
        edit = _edit(uri, row, tuple(before), tuple(after))
        last = next(iter(self.latest(uri)), None)
        if edit and last and _goes_on(last, edit):
            self._edits.remove(last)
            edit = _joined(last, edit)
        shift = len(after) - len(before)
        self._edits = [_moved(one, uri, row + len(before), shift) for one in self._edits]
        if edit:
            self._edits = [*self._edits, edit][-MOST_EDITS:]

    def forget(self, uri: str) -> None:
        """Drops the edits of a document."""
        self._edits = [edit for edit in self._edits if edit.uri != uri]


def _edit(uri: str, row: int, before: tuple[str, ...], after: tuple[str, ...]) -> RecentEdit | None:
    """None where nothing changed, or too much."""
    most = min(len(before), len(after)) - 1
    # whole lines in common are none of its own, as long as one is left on both sides
    first = _common(before, after, most)
    last = _common(before[::-1], after[::-1], most - first)
    before, after = before[first : len(before) - last], after[first : len(after) - last]
    if before == after or sum(map(len, (*before, *after))) > MOST_CHARS:
        return None
    most = min(len("".join(before)), len("".join(after)))
    left = _common(before[0], after[0], most)
    right = _common(before[-1][::-1], after[-1][::-1], most - left)
    return RecentEdit(uri, row + first, before, after, left, right)


def _goes_on(last: RecentEdit, edit: RecentEdit) -> bool:
    """True where an edit begins or ends in what the last one put there, or both are of one line."""
    start, end = (last.row, last.left), _end(last, last.after)
    first, behind = (edit.row, edit.left), _end(edit, edit.before)
    is_of_a_line = edit.row == last.row and {len(edit.before), len(edit.after), len(last.before), len(last.after)} == {
        1
    }
    return is_of_a_line or (first <= end and start <= behind)


def _end(edit: RecentEdit, lines: tuple[str, ...]) -> tuple[int, int]:
    return edit.row + len(lines) - 1, len(lines[-1]) - edit.right


def _joined(last: RecentEdit, edit: RecentEdit) -> RecentEdit | None:
    """One edit of two that touch each other."""
    start, end = last.row, last.row + len(last.after)
    first, behind = edit.row, edit.row + len(edit.before)
    old = (*edit.before[: max(0, start - first)], *last.before, *edit.before[max(0, end - first) :])
    new = (*last.after[: max(0, first - start)], *edit.after, *last.after[max(0, behind - start) :])
    return _edit(last.uri, min(start, first), old, new)


def _moved(edit: RecentEdit, uri: str, behind: int, shift: int) -> RecentEdit:
    return replace(edit, row=edit.row + shift) if edit.uri == uri and edit.row >= behind else edit


def _common(one: Sequence[str], other: Sequence[str], most: int) -> int:
    same = 0
    while same < min(len(one), len(other), most) and one[same] == other[same]:
        same += 1
    return same
