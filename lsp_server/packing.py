"""From the protocol's types to the server's own, and back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lsprotocol import types
from pygls.exceptions import JsonRpcException

from coder_model.text.normalize import newlines
from lsp_server.documents import Document, Position
from lsp_server.place import Selected
from lsp_server.suggestions import Answer, Suggestion

ACCEPTED = "unmask.accepted"
"""Command of every item: the client runs it after accepting, which is the only sign of it in the protocol."""


def to_position(position: types.Position) -> Position:
    """Returns a position as documents have it."""
    return Position(position.line, position.character)


def cursor_behind(change: types.TextDocumentContentChangePartial) -> Position:
    """Returns where the cursor is after a change; a character that takes two units counts as one."""
    start, (*lines, last) = change.range.start, newlines(change.text).split("\n")
    return Position(start.line + len(lines), len(last) + (0 if lines else start.character))


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
        facts["probability"] = float(f"{draft.probability:.3g}")
    return types.InlineCompletionItem(
        insert_text=suggestion.text,
        range=types.Range(types.Position(start.line, start.character), types.Position(end.line, end.character)),
        command=types.Command(title="Accepted", command=ACCEPTED, arguments=[facts]),
    )


def to_reply(answer: Answer, is_current: Callable[[Answer], bool]) -> Callable[[], types.InlineCompletionList]:
    """Returns what makes the reply, for the moment at which it leaves.

    A change may have been read since the answer was there: then it raises JsonRpcException.
    """

    def reply() -> types.InlineCompletionList:
        if not is_current(answer):
            raise JsonRpcException("the document changed", types.LSPErrorCodes.ContentModified.value)
        return types.InlineCompletionList([to_item(answer.document, one) for one in answer.suggestions])

    return reply


@dataclass(frozen=True, slots=True)
class AnnotatedEdit:
    """One change of a document, and what a person is told of it."""

    start: Position
    end: Position
    text: str
    label: str
    description: str


def to_workspace_edit(
    document: Document, changes: list[AnnotatedEdit], client: types.ClientCapabilities
) -> types.WorkspaceEdit:
    """Returns one edit of several changes, in the richest form that a client takes.

    With annotations each change can be looked at and left out; a versioned edit of another text than the one that the
    changes were made for is refused by the client.
    """
    takes = client.workspace.workspace_edit if client.workspace else None
    edits: list[types.TextEdit | types.AnnotatedTextEdit] = []
    annotations: dict[str, types.ChangeAnnotation] = {}
    for number, one in enumerate(changes, 1):
        start, end = (types.Position(at.line, at.character) for at in (one.start, one.end))
        where, name = types.Range(start, end), f"change-{number}"
        if takes and takes.document_changes and takes.change_annotation_support:
            annotations[name] = types.ChangeAnnotation(one.label, True, one.description)
            edits.append(types.AnnotatedTextEdit(name, where, one.text))
        else:
            edits.append(types.TextEdit(where, one.text))
    if not (takes and takes.document_changes):
        return types.WorkspaceEdit(changes={document.uri: edits})  # type: ignore[dict-item]  # no client without document changes gets annotated ones
    # a client without versions was taken to say 0
    versioned = types.OptionalVersionedTextDocumentIdentifier(document.uri, document.version or None)
    return types.WorkspaceEdit(
        document_changes=[types.TextDocumentEdit(versioned, edits)], change_annotations=annotations or None
    )
