"""When the model reads a document before anybody asks: where the cursor comes to rest, and when the model is there.

There is one cursor in a window. Who types or moves on puts the reading off, so that a cursor on its way costs nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from lsp_server.documents import Position

ARRIVED_S = 0.05
"""After coming to another document: nobody stops there on the way to somewhere else."""
MOVED_S = 0.25
TYPED_S = 1.0
"""After a key: the request that comes with most keys has read the text already."""


class Warming:
    """Where the cursor was seen last, and the moment from which it counts as resting."""

    def __init__(self, warm: Callable[[str, Position], None]) -> None:
        """Takes what has the text around a position of a document read."""
        self._warm = warm
        self._place: tuple[str, Position] | None = None
        self._is_guess = False
        self._reader: object | None = None
        self._timer: asyncio.TimerHandle | None = None

    def opened(self, uri: str, end: Position) -> None:
        """Takes note of a new document; until a client says more, the cursor is at its end, where texts are written."""
        self._rests(uri, end, MOVED_S)
        self._is_guess = True

    def moved(self, uri: str, position: Position) -> None:
        """Takes note of where a client says that the cursor is; some say so after each key too."""
        if not self._is_guess and self._place == (uri, position):
            return
        arrived = self._is_guess or self._place is None or self._place[0] != uri
        self._rests(uri, position, ARRIVED_S if arrived else MOVED_S)

    def typed(self, uri: str, position: Position) -> None:
        """Takes note of a cursor by a change of the text, or by a request."""
        self._rests(uri, position, TYPED_S)

    def closed(self, uri: str) -> None:
        """Forgets a cursor whose document is closed."""
        if self._place and self._place[0] == uri:
            self._stop()
            self._place = None

    def served_by(self, reader: object | None) -> None:
        """Takes note of who answers now: another one has read nothing yet."""
        if reader is not None and reader is not self._reader and self._place:
            self._rests(*self._place, 0.0)
        self._reader = reader

    def _rests(self, uri: str, position: Position, seconds: float) -> None:
        self._stop()
        self._place, self._is_guess = (uri, position), False
        self._timer = asyncio.get_running_loop().call_later(seconds, self._now)

    def _stop(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = None

    def _now(self) -> None:
        self._timer = None
        if self._place:
            self._warm(*self._place)
