"""From the protocol's types to the server's own, and back."""

from __future__ import annotations

from lsprotocol import types

from lsp_server.completion import Suggestion
from lsp_server.documents import Document, Position
from lsp_server.place import Selected

ACCEPTED = "unmask.accepted"
"""Command of every item: the client runs it after accepting, which is the only sign of it in the protocol."""


def to_position(position: types.Position) -> Position:
    """Returns a position as documents have it."""
    return Position(position.line, position.character)


def cursor_behind(change: types.TextDocumentContentChangePartial) -> Position:
    """Returns where the cursor is after a change; a character that takes two units counts as one."""
    start, (*_, last) = change.range.start, change.text.split("\n")
    lines = change.text.count("\n")
    return Position(start.line + lines, len(last) + (0 if lines else start.character))


def to_selected(info: types.SelectedCompletionInfo | None) -> Selected | None:
    """Returns what is selected in the client's menu."""
    if info is None:
        return None
    return Selected(to_position(info.range.start), to_position(info.range.end), info.text)


def to_item(document: Document | None, suggestion: Suggestion) -> types.InlineCompletionItem:
    """Returns the item for a suggestion: an empty range at the cursor, always explicit, as clients differ else."""
    assert document
    start, end = suggestion.replaces or (document.position(suggestion.row, suggestion.column),) * 2
    facts: dict[str, object] = {"id": suggestion.made}
    if draft := suggestion.draft:
        facts |= {"steps": draft.steps, "tokens": draft.tokens, "elapsedMs": round(draft.elapsed_ms, 1)}
    return types.InlineCompletionItem(
        insert_text=suggestion.text,
        range=types.Range(types.Position(start.line, start.character), types.Position(end.line, end.character)),
        command=types.Command(title="Accepted", command=ACCEPTED, arguments=[facts]),
    )
