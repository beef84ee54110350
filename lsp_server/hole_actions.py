"""The code action "Fill all holes": offered without the model, run as a command, answered with one edit."""

from __future__ import annotations

from functools import partial

from lsprotocol import types

from lsp_server.documents import Position
from lsp_server.edit_command import EDITED, KIND, NOT_ASKED, EditCommand, ends_of, is_asked_for, range_of
from lsp_server.hole_finding import FoundHoles, find_holes
from lsp_server.joint_fill import fill_jointly
from lsp_server.packing import AnnotatedEdit, to_position, to_workspace_edit
from lsp_server.progress import Progress
from lsp_server.trigger_policy import least_probability_of_fill

FILL_HOLES = "unmask.fillHoles"
"""Command: takes the document's `uri` and `version`, and a `range`."""


class HoleActions(EditCommand):
    """Offers and runs the action."""

    nothing, session = "no hole is filled", "#holes"

    def offered(self, params: types.CodeActionParams) -> list[types.CodeAction]:
        """Returns the action where there is something to fill; never asks the model."""
        uri, place = params.text_document.uri, params.range
        if not is_asked_for(KIND, params.context.only):
            return []
        found = self._find(uri, to_position(place.start), to_position(place.end))
        if found is None:
            return []
        title = f"Fill all holes ({found.number})"
        arguments = {"uri": uri, "version": found.document.version, "range": ends_of(place)}
        return [types.CodeAction(title, KIND, command=types.Command(title, FILL_HOLES, arguments=[arguments]))]

    async def execute(self, arguments: object) -> None:
        """Fills the holes of a range, or around an empty one, and has the client apply that.

        Raises:
            asyncio.CancelledError: when the client cancels the request.
        """
        match arguments:
            case ({"uri": str(uri), "version": int(version), "range": place}, *_) if ends := range_of(place):
                await self._run(uri, version, *ends)

    async def _run(self, uri: str, version: int, start: Position, end: Position) -> None:
        if self._document(uri) is None:
            return self.say_nothing(NOT_ASKED)
        found = self._find(uri, start, end)
        if found is None:
            return self._announcer.say("there is no hole to fill", busy=False)
        if found.document.version != version:
            return self.say_nothing(EDITED)
        return await self._carry_out(f"filling {found.number} holes", partial(self._filled, found))

    def _find(self, uri: str, start: Position, end: Position) -> FoundHoles | None:
        """The holes of a document where the model may be asked; None where there are none."""
        document = self._document(uri)
        found = find_holes(document, start, end) if document else None
        return found if found and found.holes else None

    async def _filled(self, found: FoundHoles, progress: Progress) -> str:
        """Fills the holes, and returns what became of it."""
        assert self._served
        least = least_probability_of_fill(self._served[0].settings.preset)
        common = self._common(found.document, found.span(found.holes[0])[0].line, least)
        total = len(found.holes)

        def told(decided: int) -> None:
            message = f"{decided} of {total} holes"
            progress.report(decided / total, message)
            self._announcer.say(f"filling {message}", busy=True)

        filled = await fill_jointly(found.text, found.holes, common, partial(self._ask, found), told)
        if not filled:
            return f"{self.nothing}: the model is not sure of any"
        edits = []
        for one in filled:
            start, end = found.span(one.hole)
            sure = f"{one.probability:.0%} likely a line, by the model"
            edits.append(AnnotatedEdit(start, end, one.text, f"Hole in line {start.line + 1}", sure))
        edit = to_workspace_edit(found.document, edits, self._server.client_capabilities)
        left = found.total - len(filled)
        done = f"{len(filled)} of {found.total} holes filled" + (f", {left} stay as they are" if left else "")
        return await self._apply(found, edit, f"Fill {len(filled)} holes", done)
