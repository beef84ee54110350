"""Of the requests for a document only the newest is awaited."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class Newest:
    """The tasks that are awaited, one for a document."""

    def __init__(self) -> None:
        self._awaited: dict[str, asyncio.Task[object]] = {}

    @contextmanager
    def of(self, uri: str) -> Iterator[None]:
        """Makes the task that runs now the one of a document, and cancels the one before it."""
        task = asyncio.current_task()
        assert task
        if older := self._awaited.get(uri):
            older.cancel()
        self._awaited[uri] = task
        try:
            yield
        finally:
            if self._awaited.get(uri) is task:
                del self._awaited[uri]
