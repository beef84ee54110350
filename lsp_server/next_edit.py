"""The next edit: of what an edit calls for, the nearest place that the model finds clearly likelier changed.

Silence is the rule: nothing is offered that breaks the syntax, nor what the model does not bear out. Knows nothing of
the protocol: the language server and the benchmark call it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from coder_model.text.normalize import newlines
from coder_model.text.pieces import piece_of
from coder_model.text.syntax import errors_in
from coder_model.text.token_edits import Change, changed
from coder_model.types import FillRequest, Snippet
from lsp_server.documents import Document, without_surrogates
from lsp_server.edit_candidates import MOST_CHARS, Candidate, EditedText, Kind, candidates
from lsp_server.edit_history import EditHistory
from lsp_server.joint_fill import Ask
from lsp_server.newly_unlikely import cropped, newly_unlikely
from lsp_server.rewriting import NotJudged, judge

LEAST_GAIN: dict[Kind, float] = {"rename": 2.0, "signature": 0.0, "repeated": 2.0}
"""Nats by which a place must be likelier with its change."""
LEAST_GAIN_OF_ARGUMENT = 3.0
"""The same where the model has written a part of it."""
LEAST_ARGUMENT = 0.1
"""Probability of an argument that the model writes."""
MOST_TRIED = 3
"""Places that the model is asked about."""
_OPEN = {"(": ")", "[": "]", "{": "}"}


@dataclass(frozen=True, slots=True)
class NextEdit:
    """A change that is offered: of one row, or of neighbouring characters in it."""

    change: Change
    kind: Kind | Literal["unlikely"]
    gain: float
    """Nats by which the model finds the place likelier; 0 where no model was asked."""


def edited_text(document: Document, edits: EditHistory, row: int, may: Callable[[str], bool]) -> EditedText | None:
    """Returns a document's text with what was edited lately; None for one that is too large to be looked through.

    Args:
        document: of the cursor.
        edits: of all documents.
        row: of the cursor.
        may: whether the edits of another document may be looked at.
    """
    if sum(map(len, document.lines)) > MOST_CHARS:
        return None
    others = [one for one in edits.latest() if one.uri != document.uri]
    seen = {uri: may(uri) for uri in {one.uri for one in others}}
    return EditedText(
        tuple(map(without_surrogates, document.lines)),
        document.language,
        tuple(edits.latest(document.uri)),
        tuple(one.texts for one in others if seen[one.uri]),
        row,
    )


async def next_edit(edited: EditedText, common: FillRequest, ask: Ask, *, judges: bool) -> NextEdit | None:
    """Returns what should be changed next; None for nothing.

    Args:
        edited: the text, and its last edits.
        common: what is asked of the model, but for the text around a place.
        ask: gets an answer.
        judges: whether the model says how likely it finds a text; without that only what rules show is offered.
    """
    for candidate in candidates(edited)[:MOST_TRIED]:
        found = await (_verified if judges else _by_rule)(edited, candidate, common, ask)
        if found:
            return found
    return await _unlikely(edited, common, ask) if judges else None


async def _by_rule(edited: EditedText, candidate: Candidate, common: FillRequest, ask: Ask) -> NextEdit | None:
    """A candidate that needs no model."""
    del common, ask
    return _offered(edited, candidate.kind, candidate.changes, 0.0) if candidate.certain else None


async def _verified(edited: EditedText, candidate: Candidate, common: FillRequest, ask: Ask) -> NextEdit | None:
    place = _Place.of(edited, candidate)
    common = replace(common, snippets=place.snippets(edited, candidate, common.path))
    changes: Sequence[Change] = candidate.changes
    if candidate.hole:
        argument = await _argument(place, candidate.hole, common, ask)
        if not argument:
            return None
        changes = [replace(candidate.changes[0], text=argument.join(candidate.hole))]
    old, new = place.with_changes([]), place.with_changes(changes)
    try:
        before = await judge(old, place.before, place.after, common, ask)
        after = await judge(new, place.before, place.after, common, ask, before)
    except NotJudged:
        return None
    gain = after.log_probability - before.log_probability
    least = LEAST_GAIN_OF_ARGUMENT if candidate.hole else LEAST_GAIN[candidate.kind]
    return _offered(edited, candidate.kind, changes, gain) if gain >= least else None


async def _unlikely(edited: EditedText, common: FillRequest, ask: Ask) -> NextEdit | None:
    """What no rule knows of."""
    try:
        found = await newly_unlikely(edited, common, ask)
    except NotJudged:
        return None
    return _offered(edited, "unlikely", [found[0]], found[1]) if found else None


@dataclass(frozen=True, slots=True)
class _Place:
    """The lines of a candidate, and what is around them once all else that the edit calls for is done."""

    text: str
    start: int
    """Of the first line, in the whole text."""
    before: str
    after: str
    shown: tuple[int, int]
    """Code points of the whole text that are shown."""
    changes: tuple[Change, ...]

    @classmethod
    def of(cls, edited: EditedText, candidate: Candidate) -> _Place:
        first, last = candidate.changes[0], candidate.changes[-1]
        start, end = edited.starts[edited.row(first.start)], edited.starts[edited.row(last.end) + 1]
        text = edited.text[start:end].rstrip("\r\n")
        end = start + len(text)
        others = candidate.others if candidate.kind != "repeated" else ()
        before = changed(edited.text[:start], [one for one in others if one.end <= start])
        behind = [Change(one.start - end, one.end - end, one.text) for one in others if one.start >= end]
        before, after = cropped(newlines(before), newlines(changed(edited.text[end:], behind)))
        return cls(text, start, before, after, (start - len(before), end + len(after)), candidate.changes)

    def with_changes(self, changes: Sequence[Change]) -> tuple[str, ...]:
        """The lines with some changes, given in the whole text."""
        own = [Change(one.start - self.start, one.end - self.start, one.text) for one in changes]
        return tuple(newlines(changed(self.text, own)).split("\n"))

    def around(self, at: int) -> tuple[str, str]:
        """The text on both sides of a code point of the whole text."""
        inner = at - self.start
        return self.before + self.text[:inner], self.text[inner:] + self.after

    def snippets(self, edited: EditedText, candidate: Candidate, path: str) -> tuple[Snippet, ...]:
        """The lines of the edit where they are too far away to be shown."""
        start, end = candidate.edited
        if self.shown[0] <= start and end <= self.shown[1]:
            return ()
        return (piece_of(path, newlines(edited.text[start:end])),)


async def _argument(place: _Place, hole: tuple[str, str], common: FillRequest, ask: Ask) -> str:
    """The argument that the model writes; empty where it is not sure of one."""
    before, after = place.around(place.changes[0].start)
    request = replace(common, prefix=before + hole[0], suffix=hole[1] + after, hole="line")
    draft = await ask(replace(request, least_probability=LEAST_ARGUMENT))
    if draft is None or draft.unlikely or not draft.finished:
        return ""
    text = draft.text.strip()
    return text if _is_one_argument(text) else ""


def _is_one_argument(text: str) -> bool:
    """True for a text without a comma or a closing bracket that would end it."""
    closers: list[str] = []
    for ch in text:
        if ch in _OPEN:
            closers.append(_OPEN[ch])
        elif ch in _OPEN.values():
            if not closers or closers.pop() != ch:
                return False
        elif ch in ",;\n" and not closers:
            return False
    return bool(text) and not closers


def _offered(
    edited: EditedText, kind: Kind | Literal["unlikely"], changes: Sequence[Change], gain: float
) -> NextEdit | None:
    """One change of all in the row, unless it breaks the syntax."""
    start, end = changes[0].start, changes[-1].end
    inner = [Change(one.start - start, one.end - start, one.text) for one in changes]
    one = Change(start, end, changed(edited.text[start:end], inner))
    new = changed(edited.text, [one])
    if new == edited.text or errors_in(new, edited.language) > errors_in(edited.text, edited.language):
        return None
    return NextEdit(one, kind, gain)
