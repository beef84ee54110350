"""The next edit as editors ask for it: `textDocument/copilotInlineEdit`, answered with one edit or none.

Nothing is offered where nobody may write or where the model may not look, while the person has said to be quiet, for a
text that has changed since, or what was passed over several times.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from coder_model.text.file_names import path_of
from coder_model.text.normalize import file_name, newlines
from coder_model.text.redaction import redacted
from coder_model.text.token_edits import Change, smallest_change
from coder_model.types import Cancelled, Draft, FillRequest
from lsp_server.backends.base import Backend, BackendUnavailable
from lsp_server.backends.remote_apis import LINES_TO_EDIT
from lsp_server.completion import Completer
from lsp_server.context import Context
from lsp_server.documents import Document, Documents, Position, shown_path, split_lines, without_surrogates
from lsp_server.edit_candidates import EditedText
from lsp_server.edit_history import RecentEdit
from lsp_server.newest import Newest
from lsp_server.next_edit import edited_text, next_edit
from lsp_server.place import PREFIX_CHARS, SUFFIX_CHARS, line_end_of

ACCEPTED_EDIT = "unmask.acceptedEdit"
"""Command of every edit: the client runs it after accepting."""
SESSION = "#next"
"""Added to a document's name: a completion in the document neither ends the work nor is ended by it."""
MOST_OFFERS = 3
"""Texts for which the same edit is offered; who goes on typing each time does not want it."""
MOST_DIFFS = 5
"""Edits that it is told of."""
KEPT = 64
"""Offers that are remembered."""
_WRITTEN = {"file", "untitled", "vscode-notebook-cell"}
"""Schemes of what people write in; others show what is elsewhere."""
_Reply = Callable[[], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class _Offer:
    number: int
    document: Document
    revision: int
    start: Position
    end: Position
    text: str

    def reply(self) -> dict[str, Any]:
        """The edit, in the words of the protocol."""
        start, end = ({"line": at.line, "character": at.character} for at in (self.start, self.end))
        command = {"title": "Accepted", "command": ACCEPTED_EDIT, "arguments": [{"id": self.number}]}
        identifier = {"uri": self.document.uri, "version": self.document.version}
        one = {"text": self.text, "textDocument": identifier, "range": {"start": start, "end": end}}
        return {"edits": [{**one, "command": command}]}


class EditOffers:
    """Answers requests for the next edit, one at a time per document."""

    def __init__(self, documents: Documents, counts: Counter[str]) -> None:
        self._documents, self._counts = documents, counts
        self._served: tuple[Completer, Context, Backend] | None = None
        self._newest = Newest()
        self._numbers = itertools.count(1)
        self._offered: OrderedDict[tuple[str, str, str], set[int]] = OrderedDict()
        """Revisions by document, line before and text after."""

    def serve_with(self, completer: Completer, context: Context, backend: Backend) -> None:
        """Takes what answers, once the client has said hello."""
        self._served = completer, context, backend

    async def offer(self, uri: str, version: int | None, position: Position) -> _Reply:
        """Returns what makes the reply, at the moment when that leaves.

        Args:
            uri: of the document.
            version: that the client has; None where it does not say.
            position: of the cursor.

        Raises:
            asyncio.CancelledError: when a newer request of the document arrives, or the client cancels.
        """
        with self._newest.of(uri):
            document = self._documents.get(uri)
            if document is None or version not in (None, document.version) or not self._may(document):
                return _nothing
            offer = await self._find(document, position)
            return _nothing if offer is None else lambda: self._reply(offer)

    def accepted(self) -> None:
        """Takes note that an edit was accepted."""
        self._counts["edits_accepted"] += 1

    def _may(self, document: Document) -> bool:
        return self._served is not None and self._served[0].is_on(document, invoked=False) and is_written(document.uri)

    def _reply(self, offer: _Offer) -> dict[str, Any]:
        """The offer, unless the text has changed since; no client is told of that as an error."""
        document = offer.document
        if self._documents.get(document.uri) is not document or document.revision != offer.revision:
            return _nothing()
        self._counts["edits_offered"] += 1
        return offer.reply()

    async def _find(self, document: Document, position: Position) -> _Offer | None:
        assert self._served
        completer, context, _ = self._served
        revision, (row, _) = document.revision, document.place(position)
        edited = edited_text(document, self._documents.edits, row, partial(context.privacy.may, "show"))
        if edited is None:
            return None
        deadline_ms = completer.settings.deadline_ms
        try:
            async with asyncio.timeout(deadline_ms / 1000):
                change = await self._change(document, position, edited)
        except (Cancelled, BackendUnavailable, TimeoutError):
            return None
        if change is None or document.revision != revision or self._is_passed_over(document, edited.text, change):
            return None
        start, end = (
            document.position(edited.row(at), at - edited.starts[edited.row(at)]) for at in (change.start, change.end)
        )
        return _Offer(next(self._numbers), document, revision, start, end, change.text)

    async def _change(self, document: Document, position: Position, edited: EditedText) -> Change | None:
        """What the model or the rules would change; the model is not woken for it."""
        assert self._served
        _, context, backend = self._served
        serving, revision = backend.serving, document.revision
        common = FillRequest(
            session=document.name + SESSION,
            prefix="",
            suffix="",
            path=document.path,
            language=document.language,
            # a completion goes first
            speculative=True,
        )

        async def ask(request: FillRequest) -> Draft | None:
            last = None
            async with aclosing(backend.fill(request)) as drafts:
                async for draft in drafts:
                    last = draft
            # another model that takes over judges by another measure
            return last if backend.serving is serving and document.revision == revision else None

        found = await next_edit(edited, common, ask, judges=backend.state == "ready" and backend.judges)
        if found is not None or backend.editor is None or not edited.edits:
            return found.change if found else None
        prefix, suffix = (
            newlines(without_surrogates(text)) for text in document.around(position, PREFIX_CHARS, SUFFIX_CHARS)
        )
        snippets = context.snippets(document, edited.cursor_row)
        request = replace(common, prefix=prefix, suffix=suffix, snippets=snippets, speculative=False)
        answer = await backend.editor(request, self._diffs(document))
        return answer and change_of_lines(edited, prefix, *answer)

    def _diffs(self, document: Document) -> list[str]:
        """The last edits that may be shown, the newest last, without secrets."""
        assert self._served
        may = self._served[1].privacy.may
        shown = [edit for edit in self._documents.edits.latest() if edit.uri == document.uri or may("show", edit.uri)]
        return [_without_secrets(edit).diff(file_name(shown_path(edit.uri))) for edit in reversed(shown[:MOST_DIFFS])]

    def _is_passed_over(self, document: Document, text: str, change: Change) -> bool:
        """True for what was offered for several texts, and still is not so."""
        line = text[text.rfind("\n", 0, change.start) + 1 :].partition("\n")[0]
        key = document.uri, line, change.text
        revisions = self._offered.pop(key, set())
        self._offered[key] = revisions = {*revisions, document.revision}
        while len(self._offered) > KEPT:
            self._offered.popitem(last=False)
        return len(revisions) > MOST_OFFERS


def is_written(uri: str) -> bool:
    """Returns whether people may write in a document, as far as its name and the disk show."""
    if uri.partition(":")[0].lower() not in _WRITTEN:
        return False
    path = path_of(uri)
    try:
        return path is None or not path.exists() or os.access(path, os.W_OK)
    except (OSError, ValueError):
        # no file can have that name
        return False


def _without_secrets(edit: RecentEdit) -> RecentEdit:
    """Of each text as a whole: what begins every line of a diff would hide a key that goes over lines."""
    return replace(edit, before=_shown(edit.before, edit.uri), after=_shown(edit.after, edit.uri))


def _shown(lines: Sequence[str], uri: str) -> tuple[str, ...]:
    found = split_lines(redacted(without_surrogates("".join(lines)), path=uri))
    # behind the end of a line there is none that was edited
    return tuple(found[:-1] if len(found) > 1 and not found[-1] else found)


def _nothing() -> dict[str, Any]:
    return {"edits": []}


def change_of_lines(edited: EditedText, prefix: str, old: str, new: str) -> Change | None:
    """Returns the change of a document that a change of the lines around its cursor is.

    Args:
        edited: the document.
        prefix: the text before the cursor, up to the start of the document or not.
        old: the lines as they were sent, some before that of the cursor and some behind it.
        new: what takes their place.
    """
    first = edited.cursor_row - min(LINES_TO_EDIT, prefix.count("\n"))
    lines = edited.lines[first : first + old.count("\n") + 1]
    if "\n".join(line.rstrip("\r\n") for line in lines) != old:
        return None
    start = edited.starts[first]
    end = edited.starts[first + len(lines) - 1] + len(lines[-1].rstrip("\r\n"))
    change = smallest_change(edited.text, start, new.replace("\n", line_end_of(edited.lines[0])), end)
    return change if change.text or change.start < change.end else None
