"""The code action "Fill all holes": offered without the model, run as a command, answered with one edit.

Whatever goes wrong nothing is applied, and the status says why: the document was edited meanwhile, the model went away,
somebody cancelled, the client refused.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from functools import partial
from typing import Any

from lsprotocol import types
from pygls.lsp.server import LanguageServer

from coder_model.types import Cancelled, Draft, FillRequest
from lsp_server.backends.base import Backend, BackendUnavailable
from lsp_server.completion import Completer
from lsp_server.context import Context
from lsp_server.documents import Documents, Position, without_surrogates
from lsp_server.hole_finding import FoundHoles, find_holes
from lsp_server.joint_fill import FilledHole, fill_jointly
from lsp_server.packing import to_position, to_workspace_edit
from lsp_server.progress import Progress
from lsp_server.status import Announcer
from lsp_server.trigger_policy import least_probability_of_fill

FILL_HOLES = "unmask.fillHoles"
"""Command: takes what `_arguments` makes."""
KIND = types.CodeActionKind.RefactorRewrite.value
SESSION = "#holes"
"""Added to a document's name: a completion in the document neither ends the filling of its holes nor is ended by it."""
EDITED = "the document was edited"


class Edited(Exception):
    """The document is not any more what the holes were found in."""


class HoleActions:
    """Offers and runs the action."""

    def __init__(self, server: LanguageServer, documents: Documents, announcer: Announcer) -> None:
        self._server, self._documents, self._announcer = server, documents, announcer
        self._served: tuple[Completer, Context, Backend] | None = None

    def serve_with(self, completer: Completer, context: Context, backend: Backend) -> None:
        """Takes what answers, once the client has said hello."""
        self._served = completer, context, backend

    def offered(self, params: types.CodeActionParams) -> list[types.CodeAction]:
        """Returns the action where there is something to fill; never asks the model."""
        only = params.context.only
        if only is not None and not any(kind == KIND or KIND.startswith(f"{kind}.") for kind in only):
            return []
        uri, place = params.text_document.uri, params.range
        found = self._find(uri, to_position(place.start), to_position(place.end))
        if found is None:
            return []
        title = f"Fill all holes ({found.number})"
        command = types.Command(title, FILL_HOLES, arguments=[_arguments(uri, found.document.version, place)])
        return [types.CodeAction(title, KIND, command=command)]

    async def run(self, uri: str, version: int, start: Position, end: Position) -> None:
        """Fills the holes of a range, or around an empty one, and has the client apply that.

        Raises:
            asyncio.CancelledError: when the client cancels the request.
        """
        found = self._find(uri, start, end)
        if found is None:
            return self._announcer.say("there is no hole to fill", busy=False)
        if found.document.version != version:
            return self._announcer.say(_nothing(EDITED), busy=False)
        progress = Progress(self._server, f"unmask: filling {found.number} holes")
        message = _nothing("stopped")
        try:
            message = await self._filled(found, progress)
        except asyncio.CancelledError:
            # by the button of the progress the request itself goes on, and is answered
            if not progress.is_cancelled:
                raise
        except Cancelled:
            pass
        except BackendUnavailable as error:
            message = _nothing(f"there is no model: {error}")
        except Edited:
            message = _nothing(EDITED)
        finally:
            progress.end(message)
            self._announcer.say(message, busy=False)
        return None

    def _find(self, uri: str, start: Position, end: Position) -> FoundHoles | None:
        """The holes of a document where the model may be asked; None where there are none."""
        document = self._documents.get(uri)
        if document is None or self._served is None:
            return None
        completer, _, backend = self._served
        if backend.state == "down" or not completer.is_on(document, invoked=True):
            return None
        found = find_holes(document, start, end)
        return found if found.holes else None

    async def _filled(self, found: FoundHoles, progress: Progress) -> str:
        """Fills the holes, and returns what became of it."""
        assert self._served
        completer, context, _ = self._served
        document, settings = found.document, completer.settings
        common = FillRequest(
            session=document.uri + SESSION,
            prefix="",
            suffix="",
            path=without_surrogates(document.uri),
            language=document.language,
            snippets=context.snippets(document, found.span(found.holes[0])[0].line),
            least_probability=least_probability_of_fill(settings.preset),
            deadline_ms=settings.deadline_invoked_ms,
        )
        total = len(found.holes)

        def told(decided: int) -> None:
            message = f"{decided} of {total} holes"
            progress.report(decided / total, message)
            self._announcer.say(f"filling {message}", busy=True)

        work = fill_jointly(found.text, found.holes, common, partial(self._ask, found), told)
        filled = await progress.run(work)
        if not filled:
            return _nothing("the model is not sure of any")
        return await self._apply(found, filled)

    async def _ask(self, found: FoundHoles, request: FillRequest) -> Draft | None:
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
            # of this hole alone, as it may be what the worker dies of
            return None
        return last

    def _is_current(self, found: FoundHoles) -> bool:
        return found.is_current and self._documents.get(found.document.uri) is found.document

    async def _apply(self, found: FoundHoles, filled: list[FilledHole]) -> str:
        if not self._is_current(found):
            raise Edited
        edit = to_workspace_edit(found, filled, self._server.client_capabilities)
        label = f"Fill {len(filled)} holes"
        answer = await self._server.workspace_apply_edit_async(types.ApplyWorkspaceEditParams(edit, label))
        if not answer.applied:
            return _nothing(f"the editor refused: {answer.failure_reason or 'without a reason'}")
        left = found.total - len(filled)
        return f"{len(filled)} of {found.total} holes filled" + (f", {left} stay as they are" if left else "")


def _arguments(uri: str, version: int, place: types.Range) -> dict[str, Any]:
    ends = [[at.line, at.character] for at in (place.start, place.end)]
    return {"uri": uri, "version": version, "range": ends}


def _nothing(reason: str) -> str:
    return f"no hole is filled: {reason}"
