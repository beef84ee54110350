"""The code actions "Rewrite selection": offered without the model, run as a command, answered with one edit."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import cast, get_args

from lsprotocol import types

from coder_model.types import Draft, FillRequest, InvalidInput
from lsp_server.backends.factory import no_judge
from lsp_server.documents import Position, without_surrogates
from lsp_server.edit_command import EDITED, KIND, NOT_ASKED, EditCommand, ends_of, is_asked_for, range_of
from lsp_server.packing import AnnotatedEdit, to_position, to_workspace_edit
from lsp_server.passages import FoundPassage, find_passage
from lsp_server.progress import Progress
from lsp_server.rewriting import NotJudged, Rewritten, Strength, rewrite
from lsp_server.trigger_policy import least_probability_of_fill

REWRITE = "unmask.rewriteSelection"
"""Command: takes the document's `uri` and `version`, a `range`, a `strength`, and if one is wanted an `instruction`."""
TITLES: dict[Strength, str] = {
    "light": "Rewrite selection: light fix",
    "refresh": "Rewrite selection: refresh",
    "rewrite": "Rewrite selection: all of it",
}


class RewriteActions(EditCommand):
    """Offers and runs the actions."""

    nothing, session = "nothing is rewritten", "#rewrite"

    def offered(self, params: types.CodeActionParams) -> list[types.CodeAction]:
        """Returns an action for each strength where something is selected; never asks the model."""
        uri, place = params.text_document.uri, params.range
        document = self._document(uri)
        if document is None or not is_asked_for(KIND, params.context.only):
            return []
        try:
            find_passage(document, to_position(place.start), to_position(place.end))
        except InvalidInput:
            return []
        if self._cannot_judge():
            return self._disabled()
        found = []
        for strength, title in TITLES.items():
            arguments = {"uri": uri, "version": document.version, "range": ends_of(place), "strength": strength}
            command = types.Command(title, REWRITE, arguments=[arguments])
            found.append(types.CodeAction(title, KIND, command=command))
        return found

    async def execute(self, arguments: object) -> None:
        """Rewrites a range, and has the client apply that.

        Raises:
            asyncio.CancelledError: when the client cancels the request.
        """
        match arguments:
            case ({"uri": str(uri), "version": int(version), "range": place, "strength": strength, **more}, *_) if (
                ends := range_of(place)
            ) and strength in get_args(Strength):
                instruction = more.get("instruction")
                words = without_surrogates(instruction) if isinstance(instruction, str) else ""
                await self._run(uri, version, ends, cast(Strength, strength), words)

    async def _run(
        self, uri: str, version: int, ends: tuple[Position, Position], strength: Strength, instruction: str
    ) -> None:
        document = self._document(uri)
        if document is None:
            return self.say_nothing(NOT_ASKED)
        if document.version != version:
            return self.say_nothing(EDITED)
        try:
            found = find_passage(document, *ends)
        except InvalidInput as error:
            return self.say_nothing(str(error))
        return await self._carry_out("rewriting", partial(self._rewritten, found, strength, instruction))

    async def _rewritten(self, found: FoundPassage, strength: Strength, instruction: str, progress: Progress) -> str:
        """Rewrites the passage, and returns what became of it."""
        assert self._served
        completer, _, backend = self._served
        await backend.wait_ready()
        if reason := self._cannot_judge():
            return f"{self.nothing}: {reason}"
        least = least_probability_of_fill(completer.settings.preset)
        # each draft reads all that is around it: what takes long is shown, and can be stopped
        common = replace(self._common(found.document, found.row, least), deadline_ms=None)

        def told(share: float, message: str) -> None:
            progress.report(share, message)
            self._announcer.say(f"rewriting: {message}", busy=True)

        serving = backend.serving

        async def ask(request: FillRequest) -> Draft | None:
            # another model that takes over judges by another measure
            return await self._ask(found, request) if backend.serving is serving else None

        try:
            new = await rewrite(found.passage, strength, instruction, common, ask, told)
        except NotJudged:
            return f"{self.nothing}: the model could not read the selection"
        edits = edits_of(found, new)
        if not edits:
            return f"{self.nothing}: {new.verdict}"
        edit = to_workspace_edit(found.document, edits, self._server.client_capabilities)
        return await self._apply(found, edit, TITLES[strength], new.verdict)

    def _cannot_judge(self) -> str:
        """Why the model that answers now is of no use here; empty when it is, or is not known yet."""
        assert self._served
        backend = self._served[2]
        return no_judge() if backend.state == "ready" and not backend.judges else ""

    def _disabled(self) -> list[types.CodeAction]:
        """One action that says why it cannot be taken, for a client that shows such ones."""
        document = self._server.client_capabilities.text_document
        shown = document and document.code_action and document.code_action.disabled_support
        disabled = types.CodeActionDisabled(self._cannot_judge())
        return [types.CodeAction("Rewrite selection", KIND, disabled=disabled)] if shown else []


def edits_of(found: FoundPassage, new: Rewritten) -> list[AnnotatedEdit]:
    """Returns the changes of a passage, in the units of the protocol."""
    edits = []
    for one in found.passage.edits(new.lines):
        first = found.row + one.row + 1
        end = found.position(one.end_row, one.end_column)
        edits.append(
            AnnotatedEdit(
                found.position(one.row, one.column), end, one.text, f"Rewritten from line {first} on", new.verdict
            )
        )
    return edits
