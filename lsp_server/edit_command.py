"""A command that asks the model at length and ends in one edit of a document, or in nothing.

Whatever goes wrong nothing is applied, and the status says why: the document was edited meanwhile, the model went away,
somebody cancelled, the client refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import aclosing
from typing import Any, Protocol

from lsprotocol import types
from pygls.lsp.server import LanguageServer

from coder_model.types import Cancelled, Draft, FillRequest
from lsp_server.backends.base import Backend, BackendUnavailable
from lsp_server.completion import Completer
from lsp_server.context import Context
from lsp_server.documents import Document, Documents, Position
from lsp_server.progress import Progress
from lsp_server.status import Announcer

KIND = types.CodeActionKind.RefactorRewrite.value
EDITED = "the document was edited"
NOT_ASKED = "there is no model, or none is asked about this file"


class Edited(Exception):
    """The document is not any more what the work began with."""


class Found(Protocol):
    """What a command is about, in one state of a document."""

    @property
    def document(self) -> Document:
        """Which one."""

    @property
    def is_current(self) -> bool:
        """False once the document was edited."""


class EditCommand:
    """What the commands have in common; one object serves all documents."""

    name: str
    """Of the command."""
    nothing: str
    """What the status says before a reason."""
    session: str
    """Added to a document's name: a completion in the document neither ends the work nor is ended by it."""

    def __init__(self, server: LanguageServer, documents: Documents, announcer: Announcer) -> None:
        self._server, self._documents, self._announcer = server, documents, announcer
        self._served: tuple[Completer, Context, Backend] | None = None

    def serve_with(self, completer: Completer, context: Context, backend: Backend) -> None:
        """Takes what answers, once the client has said hello."""
        self._served = completer, context, backend

    def say_nothing(self, reason: str) -> None:
        """Tells why nothing is done."""
        self._announcer.say(f"{self.nothing}: {reason}", busy=False)

    def _document(self, uri: str) -> Document | None:
        """An open document in which the model may be asked; None where it may not, or where there is none."""
        document = self._documents.get(uri)
        if document is None or self._served is None:
            return None
        completer, _, backend = self._served
        return document if backend.state != "down" and completer.is_on(document, invoked=True) else None

    def _common(self, document: Document, row: int, least_probability: float) -> FillRequest:
        """What is asked at each place, but for the text around it."""
        assert self._served
        completer, context, _ = self._served
        return FillRequest(
            session=document.name + self.session,
            prefix="",
            suffix="",
            path=document.path,
            language=document.language,
            snippets=context.snippets(document, row),
            least_probability=least_probability,
            deadline_ms=completer.settings.deadline_invoked_ms,
        )

    async def _carry_out(self, title: str, work: Callable[[Progress], Coroutine[Any, Any, str]]) -> None:
        """Does the work, which returns what became of it, while the client shows its progress.

        Raises:
            asyncio.CancelledError: when the client cancels the request.
        """
        progress = Progress(self._server, f"unmask: {title}")
        message = f"{self.nothing}: stopped"
        try:
            message = await progress.run(work(progress))
        except asyncio.CancelledError:
            # by the button of the progress the request itself goes on, and is answered
            if not progress.is_cancelled:
                raise
        except Cancelled:
            pass
        except BackendUnavailable as error:
            message = f"{self.nothing}: there is no model: {error}"
        except Edited:
            message = f"{self.nothing}: {EDITED}"
        finally:
            progress.end(message)
            self._announcer.say(message, busy=False)

    async def _ask(self, found: Found, request: FillRequest) -> Draft | None:
        """The final draft; None where the model fails at it."""
        assert self._served
        backend, last = self._served[2], None
        await backend.wait_ready()
        try:
            async with aclosing(backend.fill(request)) as drafts:
                async for draft in drafts:
                    if not self._is_current(found):
                        raise Edited
                    last = draft
        except BackendUnavailable:
            # of this place alone, as it may be what the worker dies of
            return None
        return last

    def _is_current(self, found: Found) -> bool:
        return found.is_current and self._documents.get(found.document.uri) is found.document

    async def _apply(self, found: Found, edit: types.WorkspaceEdit, label: str, done: str) -> str:
        """Has the client apply an edit; returns `done`, or why it did not."""
        if not self._is_current(found):
            raise Edited
        answer = await self._server.workspace_apply_edit_async(types.ApplyWorkspaceEditParams(edit, label))
        if not answer.applied:
            return f"{self.nothing}: the editor refused: {answer.failure_reason or 'without a reason'}"
        return done


def is_asked_for(kind: str, only: Sequence[str] | None) -> bool:
    """Returns whether a kind of code action is one of those that a client wants; all are where it names none."""
    return only is None or any(kind == wanted or kind.startswith(f"{wanted}.") for wanted in only)


def ends_of(place: types.Range) -> list[list[int]]:
    """Returns a range as an argument of a command."""
    return [[at.line, at.character] for at in (place.start, place.end)]


def range_of(argument: object) -> tuple[Position, Position] | None:
    """Returns a range that is an argument of a command; None where it is none."""
    match argument:
        case [[int(), int()] as start, [int(), int()] as end]:
            return Position(*start), Position(*end)
    return None
