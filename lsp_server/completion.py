"""One inline completion's life: what is remembered, the backend's answer, and whether it still fits.

Only the newest request of a document is awaited, and a fill that nobody awaits is dropped. That a newer fill of a
document ends the older one is the backend's rule (`coder_model/worker/request_queue.py`).
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace

from coder_model.text.normalize import newlines
from coder_model.types import Cancelled, Decoding, Draft
from lsp_server.again import Again
from lsp_server.backends.base import Backend, BackendUnavailable
from lsp_server.context import Context
from lsp_server.documents import Document, Documents, Position
from lsp_server.languages import language_id
from lsp_server.lateness import Lateness
from lsp_server.newest import Newest
from lsp_server.place import ALTERNATIVES, CursorPlace, Selected, fill_request, line_end, place_at, warm_request
from lsp_server.settings import Settings
from lsp_server.suggestion_cache import SuggestionCache, typed_since
from lsp_server.suggestions import Answer, Suggestion
from lsp_server.trigger_policy import PRESETS
from lsp_server.usage_stats import FILTER, KEPT_AFTER_S, UsageStats

MAX_TYPED = 40
"""Code points that may be typed while an answer is on its way, for it still to be awaited."""


class _Run:
    """One fill on its way, and the requests that wait for it."""

    def __init__(self, place: CursorPlace, task: asyncio.Task[list[Suggestion]]) -> None:
        self._place, self._task = place, task
        self._waiting = 0

    @property
    def is_on_its_way(self) -> bool:
        """False once its answer is there, or nobody wants one."""
        return not self._task.done()

    @property
    def is_awaited(self) -> bool:
        """True while somebody waits for its answer."""
        return self._waiting > 0 and self.is_on_its_way

    def may_serve(self, place: CursorPlace) -> bool:
        """True when what it finds may go on at a later cursor."""
        if self._task.done() or place.invoked != self._place.invoked or place.suffix != self._place.suffix:
            return False
        return typed_since(self._place.prefix, place.prefix, MAX_TYPED) is not None

    async def suggestions(self) -> list[Suggestion]:
        """Waits for the answer."""
        self._waiting += 1
        try:
            return await asyncio.shield(self._task)
        finally:
            self._waiting -= 1
            self.drop_if_unwanted()

    def drop_if_unwanted(self) -> None:
        """Frees the model when nobody waits any more."""
        if not self._waiting:
            self.drop()

    def drop(self) -> None:
        """Frees the model, whoever waits."""
        self._task.cancel()


class Completer:
    """Answers completion requests, one at a time per document."""

    def __init__(
        self, documents: Documents, backend: Backend, context: Context, settings: Settings, statistics: UsageStats
    ) -> None:
        self.settings = settings
        self.quiet_until = -math.inf
        """Seconds of the monotonic clock until which nothing is offered unasked."""
        self.lateness = Lateness()
        self._documents, self._backend, self._context = documents, backend, context
        self._counts = statistics.counts
        self._recent = SuggestionCache()
        self._newest = Newest()
        self._runs: dict[str, _Run] = {}
        self._shown: dict[str, tuple[CursorPlace, list[Suggestion]]] = {}
        self._again: defaultdict[str, Again] = defaultdict(Again)
        self._watched: CursorPlace | None = None
        self._is_told = False

    async def complete(
        self,
        uri: str,
        position: Position,
        *,
        invoked: bool,
        selected: Selected | None = None,
        alternatives: int = ALTERNATIVES,
    ) -> Answer:
        """Returns the ghost texts for a position; none is silence.

        Args:
            uri: of the document.
            position: of the cursor.
            invoked: True when the user asked by hand.
            selected: what the client's menu would insert; the texts begin with it.
            alternatives: most ghost texts where the user asked by hand; else there is one at most.

        Raises:
            asyncio.CancelledError: when a newer request of the document arrives, it closes, or the client cancels.
        """
        with self._newest.of(uri):
            document = self._documents.get(uri)
            # an item must begin with what is selected, and may not have a range of several lines
            lines = {selected.start.line, selected.end.line, position.line} if selected else {position.line}
            if document is None or not self.is_on(document, invoked) or len(lines) > 1:
                return Answer([])
            self._documents.touch(uri)
            place = replace(place_at(document, position, invoked, selected), alternatives=alternatives)
            self._counts["requests"] += 1
            self._again[uri].asked(place.prefix)
            found = await self._answer(place)
            if not invoked:
                found = [one for one in found if not self._is_said_again(place, one.text)]
                for one in found:
                    is_whole = one.draft.finished if one.draft else None
                    self._again[uri].shown(place.prefix, one.text, is_whole)
            self._counts["shown"] += bool(found)
            self._shown[uri] = place, found
            return Answer([one.shown(line_end(document), selected) for one in found], document, place.revision)

    async def watch(self, document: Document, position: Position, told: Callable[[Draft], None]) -> None:
        """Fills as for a request made by hand, decoded to be watched; the next request there has the answer.

        Args:
            document: one that `is_on`.
            position: of the cursor.
            told: is given every draft.

        Raises:
            asyncio.CancelledError: when a newer request of the document arrives, it closes, or the client cancels.
        """
        with self._newest.of(document.uri):
            place = place_at(document, position, True, None)
            await self._begin(place, told).suggestions()
            self._watched = place

    def warm(self, uri: str, position: Position) -> None:
        """Has the model read the text around a cursor that rests, where something may be offered."""
        document, running = self._documents.get(uri), self._runs.get(uri)
        if document is None or (running and running.is_on_its_way) or time.monotonic() < self.quiet_until:
            return
        if self.is_on(document, invoked=True):
            self._backend.warm(warm_request(document, position, self._context))

    def is_on(self, document: Document, invoked: bool) -> bool:
        """Returns whether the model may be asked in a document, by its settings and by what may be seen of it."""
        automatic = PRESETS[self.settings.preset].automatic and time.monotonic() >= self.quiet_until
        languages = {language_id(name): is_on for name, is_on in self.settings.languages.items()}
        wanted = (invoked or automatic) and languages.get(document.language, True)
        return wanted and self._context.privacy.may("complete", document.uri)

    def is_current(self, answer: Answer) -> bool:
        """Returns whether an answer speaks of a document as it is now."""
        document = answer.document
        return document is None or (
            self._documents.get(document.uri) is document and document.revision == answer.revision
        )

    def accepted(self, made: int) -> None:
        """Takes note that the user accepted a suggestion, and looks ahead if nobody waits for a fill there."""
        for place, shown in self._shown.values():
            text = next((suggestion.text for suggestion in shown if suggestion.made == made), "")
            if not text:
                continue
            self._counts["accepted"] += 1
            asyncio.get_running_loop().call_later(KEPT_AFTER_S, self._look_again, place.document.uri, text)
            running = self._runs.get(place.document.uri)
            if PRESETS[self.settings.preset].automatic and not (running and running.is_awaited):
                self._begin(replace(place, prefix=place.prefix + text, invoked=False, speculative=True))
            return

    def partly_accepted(self) -> None:
        """Takes note of a part that was accepted; a client that says so once is taken at its word from then on."""
        self._is_told = True
        self._counts["partly_accepted"] += 1

    def _look_again(self, uri: str, text: str) -> None:
        document = self._documents.get(uri)
        self._counts["kept"] += document is not None and text in newlines(document.text)

    def forget(self, uri: str) -> None:
        """Drops what was suggested in a document that closes."""
        if document := self._documents.get(uri):
            self._context.closing(document)
        self._recent.forget(uri)
        self._shown.pop(uri, None)
        self._again.pop(uri, None)
        if run := self._runs.pop(uri, None):
            run.drop()

    async def _answer(self, place: CursorPlace) -> list[Suggestion]:
        uri = place.document.uri
        if not place.invoked and self._has_just_cleared(place):
            return []
        found = self._remembered(place)
        running = self._runs.get(uri)
        if found is None and running and running.may_serve(place):
            await running.suggestions()
            found = self._remembered(place)
        return await self._begin(place).suggestions() if found is None else found

    def _has_just_cleared(self, place: CursorPlace) -> bool:
        """True where whole lines were just deleted: whoever does that wants nothing there for a moment."""
        document = place.document
        cleared = "\n" in newlines(document.deleted) and document.deletions_at(place.row, place.column) > 0
        return cleared and not PRESETS[self.settings.preset].after_deletion

    def _is_said_again(self, place: CursorPlace, text: str) -> bool:
        again = self._again[place.document.uri]
        said = again.is_said_again(place.prefix, place.suffix, text, newlines(place.document.deleted))
        self._counts[f"{FILTER}said_again"] += said
        return said

    def _remembered(self, place: CursorPlace) -> list[Suggestion] | None:
        """What is left of a suggestion; empty when all that can be seen of it is there, None without one."""
        uri = place.document.uri
        if place.invoked and place != self._watched:
            return None
        self._watched = None
        left = self._recent.find(uri, place.prefix, place.suffix)
        if left is None:
            return None
        if not left.text.strip():
            return []
        self._counts["remembered"] += 1
        _, before = self._shown.get(uri, (place, []))
        if not self._is_told and any(old.made == left.made and len(old.text) - len(left.text) > 1 for old in before):
            # more than a key at once: a word or a line was accepted
            self._counts["partly_accepted"] += 1
        return [Suggestion(left.text, place.row, place.column, left.made)]

    def _begin(self, place: CursorPlace, told: Callable[[Draft], None] | None = None) -> _Run:
        """Asks the backend, which ends what it was doing for this document."""
        run = self._runs[place.document.uri] = _Run(place, asyncio.create_task(self._ask(place, told)))
        return run

    async def _ask(self, place: CursorPlace, told: Callable[[Draft], None] | None) -> list[Suggestion]:
        request = fill_request(place, self.settings, self._context)
        if request is None:
            return []
        if told:
            request = replace(request, count=1, decoding=Decoding(self.settings.policy))
        wait_s = request.deadline_ms / 1000 if request.deadline_ms else None
        last = None
        try:
            # a model that is about to be there is worth the wait that the request has to give, and no more
            async with asyncio.timeout(wait_s):
                await self._backend.wait_ready()
            self._counts["fills"] += 1
            async with aclosing(self._backend.fill(request, watch=told is not None)) as drafts:
                async for draft in drafts:
                    last = draft
                    if told:
                        told(draft)
        except (BackendUnavailable, TimeoutError):
            return []
        except Cancelled as superseded:
            if place.speculative:
                return []
            raise asyncio.CancelledError from superseded
        if last is None:
            return []
        self._counts.update(FILTER + name for name in last.filtered)
        self._counts["late"] += self.lateness.is_late(self._backend.serving, request, last)
        self._counts["unlikely"] += last.unlikely and not last.text
        worth_it = [draft for draft in (last, *last.others) if draft.text.strip()]
        # the best one last: whoever types on is shown the rest of the newest that agrees
        return [self._suggestion(place, draft) for draft in reversed(worth_it)][::-1]

    def _suggestion(self, place: CursorPlace, draft: Draft) -> Suggestion:
        document = place.document
        made = self._recent.add(document.uri, place.prefix, place.suffix, draft.text, document.language)
        return Suggestion(draft.text, place.row, place.column, made, draft)
