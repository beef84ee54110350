"""The command "alternatives": several whole suggestions for one place, of which a panel lets a person choose.

It is answered as an inline completion that somebody asked for by hand, with more items.
"""

from __future__ import annotations

from collections.abc import Callable

from lsprotocol import types

from lsp_server.backends.base import Backend
from lsp_server.completion import Completer
from lsp_server.context import Context
from lsp_server.documents import Documents, Position
from lsp_server.edit_command import EDITED, NOT_ASKED
from lsp_server.packing import to_reply
from lsp_server.status import Announcer
from lsp_server.suggestions import Answer

FIND_ALTERNATIVES = "unmask.findAlternatives"
"""Command: takes the document's `uri` and `version`, and a `position` as [line, character]."""
MOST = 6
"""Suggestions that are found for a panel: as many as one looks through."""
_NONE = "no alternatives"


class Alternatives:
    """Runs the command, one fill at a time in a document."""

    def __init__(self, documents: Documents, announcer: Announcer) -> None:
        self._documents, self._announcer = documents, announcer
        self._served: tuple[Completer, Backend] | None = None

    def serve_with(self, completer: Completer, _: Context, backend: Backend) -> None:
        """Takes what answers, once the client has said hello."""
        self._served = completer, backend

    async def execute(self, arguments: object) -> Callable[[], types.InlineCompletionList] | None:
        """Returns what makes the reply, the best suggestion first; the status says how many there are, or why none.

        Raises:
            asyncio.CancelledError: when a newer request of the document arrives, or the client cancels.
        """
        match arguments:
            case ({"uri": str(uri), "version": int(version), "position": [int(line), int(character)]}, *_):
                assert self._served
                completer, _ = self._served
                answer, said = await self._find(uri, version, Position(line, character))
                self._announcer.say(said, busy=False)
                return to_reply(answer, completer.is_current)
        return None

    async def _find(self, uri: str, version: int, position: Position) -> tuple[Answer, str]:
        """The suggestions, and what became of it for people."""
        assert self._served
        completer, backend = self._served
        document = self._documents.get(uri)
        if document is None or not completer.is_on(document, invoked=True):
            return Answer([]), f"{_NONE}: {NOT_ASKED}"
        if document.version != version:
            return Answer([]), f"{_NONE}: {EDITED}"
        answer = await completer.complete(uri, position, invoked=True, alternatives=MOST)
        found = len(answer.suggestions)
        if not found:
            return answer, f"{_NONE}: {backend.reason or 'nothing is offered here'}"
        return answer, "1 alternative" if found == 1 else f"{found} alternatives"
