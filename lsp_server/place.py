"""A cursor in one state of a document, and what to ask the model there."""

from __future__ import annotations

import re
from dataclasses import dataclass

from coder_model.text.fill_mode import hole_at
from coder_model.text.normalize import newlines
from coder_model.types import FillRequest, Reach
from lsp_server.context import Context
from lsp_server.documents import Document, Position, without_surrogates
from lsp_server.settings import Settings
from lsp_server.trigger_policy import least_right

PREFIX_CHARS, SUFFIX_CHARS = 64_000, 16_000
"""Code points of the document that go to the model on either side of the cursor."""
ALTERNATIVES = 3
"""Suggestions for a request that the user made by hand."""
_WORD = re.compile(r"\w")
_LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Selected:
    """What is selected in the client's completion menu: the ghost text goes on from there (LSP 3.18)."""

    start: Position
    end: Position
    text: str


@dataclass(frozen=True, slots=True)
class CursorPlace:
    """A cursor in one state of a document."""

    document: Document
    revision: int
    row: int
    column: int
    prefix: str
    """With newlines as a model has them, whatever ends a line of the document."""
    suffix: str
    invoked: bool
    alternatives: int = ALTERNATIVES
    """Suggestions that are wanted where the user asks by hand; else one is."""
    speculative: bool = False
    """True when nobody stands there yet."""

    @property
    def rest_of_line(self) -> str:
        """Behind the cursor."""
        return self.suffix.partition("\n")[0]

    @property
    def line_before(self) -> str:
        """Before the cursor."""
        return self.prefix.rpartition("\n")[2]


def place_at(document: Document, position: Position, invoked: bool, selected: Selected | None) -> CursorPlace:
    """Returns the cursor's place, as it will be once what is selected in the menu is taken."""
    row, column = document.place(position)
    if selected:
        before = document.around(selected.start, PREFIX_CHARS, 0)[0] + selected.text
        after = document.around(selected.end, 0, SUFFIX_CHARS)[1]
    else:
        before, after = document.around(position, PREFIX_CHARS, SUFFIX_CHARS)
    prefix, suffix = (newlines(without_surrogates(text)) for text in (before, after))
    return CursorPlace(document, document.revision, row, column, prefix, suffix, invoked)


def fill_request(place: CursorPlace, settings: Settings, context: Context) -> FillRequest | None:
    """Returns what to ask the model at a place, or None where nothing should be offered."""
    document = place.document
    by_hand = place.invoked and not place.line_before.strip()
    wanted: Reach = "multi" if by_hand and settings.reach == "auto" else settings.reach
    hole = hole_at(place.prefix, place.suffix, document.language, wanted)
    deletions = 0 if place.speculative else document.deletions_at(place.row, place.column)
    least = 0.0 if place.invoked else least_right(settings.preset, place.rest_of_line, deletions)
    if hole is None or least is None:
        return None
    if settings.least_right is not None and not place.invoked:
        least = settings.least_right
    return FillRequest(
        session=document.name,
        prefix=place.prefix,
        suffix=place.suffix,
        path=document.path,
        language=document.language,
        hole=hole,
        snippets=context.snippets(document, place.row),
        count=place.alternatives if place.invoked else 1,
        least_right=least,
        speculative=place.speculative,
        deadline_ms=settings.deadline_invoked_ms if place.invoked else settings.deadline_ms,
    )


def warm_request(document: Document, position: Position, context: Context) -> FillRequest:
    """Returns what a model may read before somebody asks at a place.

    Inside a word nothing is ever offered: who goes on there mostly goes on at the end of the line.
    """
    row, column = document.place(position)
    line = document.lines[row]
    if _WORD.match(line, column):
        position = document.position(row, len(line.rstrip("\r\n")))
    place = place_at(document, position, invoked=False, selected=None)
    return FillRequest(
        session=document.name,
        prefix=place.prefix,
        suffix=place.suffix,
        path=document.path,
        language=document.language,
        snippets=context.snippets(document, place.row, rests=True),
    )


def line_end(document: Document) -> str:
    r"""Returns the line end that the document's first line has; `\\n` for a document of one line."""
    return line_end_of(document.lines[0])


def line_end_of(text: str) -> str:
    r"""Returns the first line end of a text; `\\n` where it has none."""
    found = _LINE_END.search(text)
    return found.group() if found else "\n"
