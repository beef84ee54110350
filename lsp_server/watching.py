"""The command "watch": one fill that tells of every pass, and only because somebody asked for it.

Each pass is a notification `unmask/denoising`, from the first to the final one. When the command is answered, an inline
completion at the same place is what was watched, without another fill.
"""

from __future__ import annotations

import asyncio
from typing import Any

from pygls.lsp.server import LanguageServer

from coder_model.types import Draft
from lsp_server.backends.base import Backend
from lsp_server.completion import Completer
from lsp_server.context import Context
from lsp_server.denoising import facts_of, masked_text
from lsp_server.documents import Document, Documents, Position
from lsp_server.edit_command import EDITED, NOT_ASKED
from lsp_server.status import Announcer

WATCH = "unmask.watch"
"""Command: takes the document's `uri` and `version`, and a `position` as [line, character]."""
DENOISING = "unmask/denoising"
"""Notification: a pass of the fill that is watched."""
_UNSEEN = "nothing is watched"


class Watching:
    """Runs the command, one fill at a time in a document."""

    def __init__(self, server: LanguageServer, documents: Documents, announcer: Announcer) -> None:
        self._server, self._documents, self._announcer = server, documents, announcer
        self._served: tuple[Completer, Backend] | None = None

    def serve_with(self, completer: Completer, _: Context, backend: Backend) -> None:
        """Takes what answers, once the client has said hello."""
        self._served = completer, backend

    async def execute(self, arguments: object) -> None:
        """Fills at a place and sends every pass; the status says what became of it.

        Raises:
            asyncio.CancelledError: when a newer request of the document arrives, or the client cancels.
        """
        match arguments:
            case ({"uri": str(uri), "version": int(version), "position": [int(line), int(character)]}, *_):
                self._announcer.say(await self._watch(uri, version, Position(line, character)), busy=False)

    async def _watch(self, uri: str, version: int, position: Position) -> str:
        """Returns what became of it, for people."""
        assert self._served
        completer, backend = self._served
        document = self._documents.get(uri)
        if document is None or not completer.is_on(document, invoked=True):
            return f"{_UNSEEN}: {NOT_ASKED}"
        if document.version != version:
            return f"{_UNSEEN}: {EDITED}"
        last: list[Draft] = []

        def told(draft: Draft) -> None:
            if document.version != version:
                watching.cancel()
                return
            last[:] = [draft]
            self._server.protocol.notify(DENOISING, parameters(document, position, draft))

        watching = asyncio.create_task(completer.watch(document, position, told))
        try:
            await watching
        except asyncio.CancelledError:
            if document.version == version:
                raise
            return f"{_UNSEEN}: {EDITED}"
        if not last:
            return f"{_UNSEEN}: {backend.reason or 'nothing is offered here'}"
        (seen,) = last
        found = f"{seen.tokens} tokens" if seen.text.strip() else "nothing found"
        return f"{found} in {seen.steps} passes, {seen.elapsed_ms:.0f} ms"


def parameters(document: Document, position: Position, draft: Draft) -> dict[str, Any]:
    """Returns those of the notification: where the hole is, and what a pass has made of it."""
    text, confidence = masked_text(draft)
    return {
        "textDocument": {"uri": document.uri, "version": document.version},
        "position": {"line": position.line, "character": position.character},
        "text": text,
        "confidence": confidence,
        **facts_of(draft),
    }
