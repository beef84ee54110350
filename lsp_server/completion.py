"""One inline completion's life: newest wins, the backend's drafts, and whether the answer still fits the text."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from coder_model.holes import WINDOW_AFTER, WINDOW_BEFORE, hole_at
from coder_model.types import Cancelled, Draft, FillRequest
from lsp_server.backends import Backend, BackendUnavailable
from lsp_server.documents import Document, Documents, Position, without_surrogates

PREFIX_CHARS, SUFFIX_CHARS = 64_000, 16_000
"""Code points of the document that go to the model on either side of the cursor."""


class ContentModified(Exception):
    """The document changed under the request."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Ghost text for a cursor."""

    text: str
    row: int
    column: int
    """Code point of the cursor in its line."""
    draft: Draft


class Completer:
    """Answers completion requests, one at a time per document."""

    def __init__(self, documents: Documents, backend: Backend) -> None:
        self._documents, self._backend = documents, backend
        self._running: dict[str, asyncio.Task[object]] = {}

    async def complete(self, uri: str, position: Position, deadline_ms: float | None) -> Suggestion | None:
        """Returns the ghost text at a position, or None for silence.

        Raises:
            asyncio.CancelledError: when a newer request of the document arrives, or the client cancels.
            ContentModified: when the document changed meanwhile.
        """
        task = asyncio.current_task()
        assert task
        if older := self._running.get(uri):
            older.cancel()
        self._running[uri] = task
        try:
            document = self._documents.get(uri)
            return await self._answer(document, position, deadline_ms) if document else None
        finally:
            if self._running.get(uri) is task:
                del self._running[uri]

    async def _answer(self, document: Document, position: Position, deadline_ms: float | None) -> Suggestion | None:
        version = document.version
        row, column = document.place(position)
        request = fill_request(document, position, deadline_ms)
        if request is None:
            return None
        last = None
        try:
            # a model that is about to be there is worth the wait that the request has to give, and no more
            async with asyncio.timeout(deadline_ms / 1000 if deadline_ms else None):
                await self._backend.wait_ready()
            async for draft in self._backend.fill(request):
                last = draft
        except (BackendUnavailable, TimeoutError):
            return None
        except Cancelled as superseded:
            raise asyncio.CancelledError from superseded
        if self._documents.get(document.uri) is not document or document.version != version:
            raise ContentModified
        if last is None or not last.text.strip():
            return None
        return Suggestion(last.text.replace("\n", line_end(document)), row, column, last)


def fill_request(document: Document, position: Position, deadline_ms: float | None) -> FillRequest | None:
    """Returns what to ask the model at a position, or None where nothing should be offered."""
    prefix, suffix = (without_surrogates(text) for text in document.around(position, PREFIX_CHARS, SUFFIX_CHARS))
    hole = hole_at(prefix[-WINDOW_BEFORE:], suffix[:WINDOW_AFTER], document.language)
    if hole is None:
        return None
    return FillRequest(
        session=document.uri,
        prefix=prefix,
        suffix=suffix,
        path=without_surrogates(document.uri),
        language=document.language,
        hole=hole,
        deadline_ms=deadline_ms,
    )


def line_end(document: Document) -> str:
    r"""Returns the line end that the document's first line has; `\\n` for a document of one line."""
    first = document.lines[0]
    return first[len(first.rstrip("\r\n")) :] or "\n"
