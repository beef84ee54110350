"""What an edit calls for elsewhere in its document: uses of a name, calls of a function, the same edit once more.

By rules alone, without a model: places and what each would become, the nearest to the cursor first.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate, groupby
from typing import Literal

from coder_model.text.calls import CallChange, outdated_calls, touches_parameters
from coder_model.text.declarations import declarations, is_imported
from coder_model.text.normalize import columns
from coder_model.text.renames import left_behind
from coder_model.text.syntax_nodes import Parsed
from coder_model.text.token_edits import Change, hunks_of, repeated
from lsp_server.edit_history import RecentEdit

Kind = Literal["rename", "signature", "repeated"]
MOST_CHARS = 60_000
"""Code points of a document that is looked through."""
LATEST = 8
"""Edits of a document that still call for others."""
NEAREST = 16
"""Rows that an edit makes candidates of: few are tried, and each knows all the others."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One row of a text that may have to change."""

    kind: Kind
    changes: tuple[Change, ...]
    """In order, none of them over a line end."""
    others: tuple[Change, ...] = ()
    """What the same edit calls for in other rows."""
    hole: tuple[str, str] | None = None
    """Where an argument is to be written: what stands before and behind it in the text of the only change."""
    certain: bool = True
    """Whether it stands without a model."""
    edited: tuple[int, int] = (0, 0)
    """Code points that the edit reaches over which calls for it."""


@dataclass(frozen=True)
class EditedText:
    """A document's text, and what was edited there lately."""

    lines: tuple[str, ...]
    """With their ends, without lone surrogates."""
    language: str
    edits: tuple[RecentEdit, ...]
    """Of the document, the newest first."""
    elsewhere: tuple[tuple[str, str], ...] = ()
    """Lines before and after edits of other documents, the newest first."""
    cursor_row: int = 0

    @cached_property
    def text(self) -> str:
        """The whole text."""
        return "".join(self.lines)

    @cached_property
    def starts(self) -> list[int]:
        """The code point that each row begins at, and where the last one ends."""
        return [0, *accumulate(map(len, self.lines))]

    @cached_property
    def depths(self) -> list[int | None]:
        """The columns that each row is indented by; None for a blank one."""
        return [columns(line) if line.strip() else None for line in self.lines]

    def row(self, offset: int) -> int:
        """Returns the row of a code point."""
        return min(bisect_right(self.starts, offset), len(self.lines)) - 1

    def span(self, edit: RecentEdit) -> tuple[int, int]:
        """Returns the code points of the lines of an edit, in the text."""
        last = len(self.lines)
        return self.starts[min(edit.row, last)], self.starts[min(edit.row + len(edit.after), last)]

    def changed(self, edit: RecentEdit) -> tuple[int, int]:
        """Returns the code points that an edit has put there, in the text."""
        start, end = self.span(edit)
        return start + edit.left, max(start + edit.left, end - edit.right)

    def without(self, edit: RecentEdit) -> str:
        """Returns the text before an edit whose lines are still there."""
        return "".join([*self.lines[: edit.row], *edit.before, *self.lines[edit.row + len(edit.after) :]])


def candidates(edited: EditedText) -> list[Candidate]:
    """Returns what may have to change now, the likeliest kind first and of each the nearest to the cursor."""
    if not edited.edits:
        return []
    parsed = Parsed.of(edited.text, edited.language)
    found: list[Candidate] = []
    if parsed:
        found = [*_signatures(edited, parsed), *_renames(edited, parsed)]
    found += _repeated(edited, parsed)
    return _without_twins(found)


def _renames(edited: EditedText, parsed: Parsed) -> Iterator[Candidate]:
    latest = [(edited.span(edit), _renamings(edit)) for edit in edited.edits[:LATEST]]
    # that of an older edit may be what declares a name
    spans = {one: [span for span, renamings in latest if one in renamings] for one in latest[0][1]}
    if not all(declarations(parsed, new, rows) for (_, new), rows in spans.items()):
        # with a type or a module the name may stand for something else
        return
    for (old, new), rows in spans.items():
        changes = left_behind(parsed, old, new, rows)
        for candidate in _by_row(edited, "rename", [[change] for change in changes], rows[-1]):
            yield replace(candidate, certain=not is_imported(parsed, new, rows))


def _renamings(edit: RecentEdit) -> dict[tuple[str, str], None]:
    """The old and the new names of an edit that did nothing but rename."""
    found = [hunk.renaming for hunk in hunks_of(*edit.texts)]
    return dict.fromkeys(one for one in found if one) if None not in found else {}


def _signatures(edited: EditedText, parsed: Parsed) -> Iterator[Candidate]:
    newer: list[tuple[int, int]] = []
    for edit in edited.edits[:LATEST]:
        if not edit.is_in(edited.lines):
            continue
        (start, end), changed = edited.span(edit), edited.changed(edit)
        if not touches_parameters(parsed, changed):
            newer.append(changed)
            continue
        before = Parsed.of(edited.without(edit), edited.language)
        assert before
        calls = [call for call in outdated_calls(before, parsed, changed) if not _is_done(call, newer)]
        plain = [list(call.changes) for call in calls if call.hole is None]
        yield from _by_row(edited, "signature", plain, (start, end))
        holes = [
            Candidate("signature", call.changes, hole=call.hole, certain=False, edited=(start, end))
            for call in calls
            if call.hole
        ]
        yield from _nearest(edited, holes)
        if calls:
            return


def _is_done(call: CallChange, newer: Sequence[tuple[int, int]]) -> bool:
    """True for a call whose arguments were to change places and were edited since."""
    first, last = call.changes[0].start, call.changes[-1].end
    return call.reorders and any(start <= last and first <= end for start, end in newer)


def _repeated(edited: EditedText, parsed: Parsed | None) -> Iterator[Candidate]:
    rows = [edited.span(edit) for edit in edited.edits[:LATEST]]
    own = [edit.texts for edit in edited.edits[:LATEST]]
    newest, edit = {(hunk.old, hunk.new) for hunk in hunks_of(*own[0])}, edited.edits[0]
    for one in repeated([*reversed(edited.elsewhere), *reversed(own)]):
        (_, new), *_ = one.hunks
        # what somebody went on from is over; a name that was declared is known elsewhere by its old name
        if not set(one.hunks) <= newest or (parsed and len(new) == 1 and declarations(parsed, new[0], rows)):
            continue
        for candidate in _by_row(edited, "repeated", one.places(edited.text), edited.span(edit)):
            is_near = _is_one_block(edited, edit.row, edited.row(candidate.changes[0].start))
            yield replace(candidate, certain=one.names > 0 and is_near)


def _is_one_block(edited: EditedText, *rows: int) -> bool:
    """True where no line between two rows is indented less than both of them."""
    depths = [depth for depth in edited.depths[min(rows) : max(rows) + 1] if depth is not None]
    return min(depths) >= min(columns(edited.lines[row]) for row in rows)


def _by_row(
    edited: EditedText, kind: Kind, places: Sequence[Sequence[Change]], span: tuple[int, int]
) -> list[Candidate]:
    """A candidate for each row with places in it."""
    changes = sorted((change for place in places for change in place), key=lambda one: one.start)
    rows = [tuple(group) for _, group in groupby(changes, key=lambda one: edited.row(one.start))]
    near = _nearest(edited, [Candidate(kind, row, edited=span) for row in rows])
    return [replace(one, others=tuple(change for change in changes if change not in one.changes)) for one in near]


def _nearest(edited: EditedText, found: Sequence[Candidate]) -> list[Candidate]:
    """A few, in the order of their distance from the cursor, of two as far the lower one first."""

    def distance(candidate: Candidate) -> tuple[int, bool]:
        row = edited.row(candidate.changes[0].start)
        return abs(row - edited.cursor_row), row < edited.cursor_row

    return sorted(found, key=distance)[:NEAREST]


def _without_twins(found: Sequence[Candidate]) -> list[Candidate]:
    """Without candidates that touch what an earlier one would change."""
    kept: list[Candidate] = []
    for one in found:
        if not any(a.start <= b.end and b.start <= a.end for two in kept for a in one.changes for b in two.changes):
            kept.append(one)
    return kept
