"""Places near an edit that a model found likely before it and finds unlikely since: drafted again, a word at a time.

Both texts are judged, the one before the edit and the one after it. What was unlikely all along is no business of the
edit. A draft may change one word of a line or add some, no more: what a person has not begun to change stays.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from coder_model.text.holes import CodeBefore
from coder_model.text.syntax import errors_in
from coder_model.text.token_edits import Change, hunks_of, smallest_change
from coder_model.types import FillRequest, InvalidInput
from lsp_server.documents import split_lines
from lsp_server.edit_candidates import EditedText
from lsp_server.edit_history import RecentEdit
from lsp_server.joint_fill import Ask
from lsp_server.passages import Passage
from lsp_server.rewriting import Rule, judge, mend

BEFORE_CHARS, AFTER_CHARS = 2_500, 1_000
"""Code points around a place that are shown to the model: it reads them once for each place."""
ROWS_BEHIND, ROWS_BEFORE = 12, 8
"""Rows near the edit that are judged."""
MOST_SPOTS = 2
"""Places of each side that are drafted again."""
MOST_OLD = 2
"""Tokens that may be taken away, blanks not counted."""
LEAST_GAIN = 4.5
"""Nats by which the rows must be likelier."""


async def newly_unlikely(edited: EditedText, common: FillRequest, ask: Ask) -> tuple[Change, float] | None:
    """Returns the change of a place that an edit made unlikely, and what it gains in nats; None where there is none.

    Args:
        edited: the text, and its last edits.
        common: what is asked of the model, but for the text.
        ask: gets an answer.

    Raises:
        NotJudged: when the model fails to judge the text.
    """
    edit = next(iter(edited.edits), None)
    if edit is None or not edit.is_in(edited.lines) or not _says_something(edited, edit):
        return None
    old = split_lines(edited.without(edit))
    if errors_in(edited.text, edited.language) > errors_in("".join(old), edited.language):
        return None
    shift = len(edit.after) - len(edit.before)
    for first, last in _sides(edited, edit):
        moved = shift if first >= edit.row + len(edit.after) else 0
        try:
            now = _near(Passage.of(edited.lines, first, last, edited.language))
            before = _near(Passage.of(old, first - moved, last - moved, edited.language))
        except InvalidInput:
            continue
        earlier = await judge(before.lines, before.before, before.after, common, ask)
        known = await judge(now.lines, now.before, now.after, common, ask)
        spots = known.risen(earlier, edited.language, now.before)[:MOST_SPOTS]
        new = await mend(now, known, spots, common, ask, Rule(_is_small, LEAST_GAIN))
        if new is not known:
            row = next(row for row, (a, b) in enumerate(zip(now.lines, new.lines, strict=True)) if a != b)
            start = edited.starts[first + row]
            change = smallest_change(edited.text, start, new.lines[row], start + len(known.lines[row]))
            return change, new.log_probability - known.log_probability
    return None


def _sides(edited: EditedText, edit: RecentEdit) -> Iterator[tuple[int, int]]:
    """The first and the last row behind the edit, and of those before it."""
    behind = edit.row + len(edit.after)
    spans = (behind, min(behind + ROWS_BEHIND, len(edited.lines)) - 1), (max(0, edit.row - ROWS_BEFORE), edit.row - 1)
    for first, last in spans:
        if first <= last and any(line.strip() for line in edited.lines[first : last + 1]):
            yield first, last


def _near(passage: Passage) -> Passage:
    before, after = cropped(passage.before, passage.after)
    return replace(passage, before=before, after=after)


def cropped(before: str, after: str) -> tuple[str, str]:
    """Returns the text around a place as far as the model is shown it, by whole lines."""
    if len(before) > BEFORE_CHARS:
        before = before[-BEFORE_CHARS:].partition("\n")[2]
    if len(after) > AFTER_CHARS:
        after = after[:AFTER_CHARS].rpartition("\n")[0]
    return before, after


def _says_something(edited: EditedText, edit: RecentEdit) -> bool:
    """False for an edit in a string or a comment alone."""
    return any(map(CodeBefore(edited.text, edited.language), edited.changed(edit)))


def _is_small(old: tuple[str, ...], new: tuple[str, ...]) -> bool:
    """True where one row has one word less at most, and others more."""
    differing = [pair for pair in zip(old, new, strict=False) if pair[0] != pair[1]]
    if len(old) != len(new) or len(differing) != 1:
        return False
    hunks = hunks_of(*differing[0])
    gone = [sum(1 for token in hunk.old if token.strip()) for hunk in hunks]
    return not any(gone) or (len(hunks) == 1 and gone[0] <= MOST_OLD)
