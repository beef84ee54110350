"""Progress of a piece of work that the client shows, with a button that stops it; nothing where it shows none."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Coroutine
from typing import Any, TypeVar

from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer

ANSWER_S = 2.0
"""Seconds in which a client has to take a token; one that does not is shown nothing."""
_numbers = itertools.count(1)
_T = TypeVar("_T")


class Progress:
    """One piece of work."""

    def __init__(self, server: LanguageServer, title: str) -> None:
        self.is_cancelled = False
        """True once somebody has pressed the button."""
        self._server, self._title = server, title
        self._token = f"unmask-work-{next(_numbers)}"
        self._is_shown = False

    async def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Does the work while the client shows it.

        Raises:
            asyncio.CancelledError: when it is stopped; `is_cancelled` says by whom.
        """
        task = asyncio.create_task(work)
        try:
            await self._begin(task)
            return await task
        finally:
            task.cancel()

    def report(self, share: float, message: str) -> None:
        """Says how far it is, in [0, 1]."""
        if self._is_shown:
            value = types.WorkDoneProgressReport(message=message, percentage=int(100 * share))
            self._server.work_done_progress.report(self._token, value)

    def end(self, message: str) -> None:
        """Says what became of it."""
        if self._is_shown:
            self._is_shown = False
            self._server.work_done_progress.end(self._token, types.WorkDoneProgressEnd(message=message))
            self._server.work_done_progress.tokens.pop(self._token, None)

    async def _begin(self, task: asyncio.Task[Any]) -> None:
        window = self._server.client_capabilities.window
        if not (window and window.work_done_progress):
            return
        progress = self._server.work_done_progress
        try:
            await asyncio.wait_for(progress.create_async(self._token), ANSWER_S)
        except (JsonRpcException, TimeoutError):
            return

        def stop(_: object) -> None:
            self.is_cancelled = True
            task.cancel()

        progress.tokens[self._token].add_done_callback(stop)
        begin = types.WorkDoneProgressBegin(title=self._title, cancellable=True, percentage=0)
        progress.begin(self._token, begin)
        self._is_shown = True
