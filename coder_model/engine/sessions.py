"""The caches of documents under one limit: which one a prompt goes on from, and which one has to go.

A document may have several, one for each place that somebody works at: its text around another place is another prompt,
and who comes back finds the cache of the first one as it was.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from coder_model.decoding.strategies import DecodingStrategy
from coder_model.runtime.sequence import common_length
from coder_model.types import Cancelled, InvalidInput

Faults = tuple[bool, int, bool]
"""What is wrong with a middle: nothing (new) is said, so many syntax errors, a block or a loop that does nothing."""
PLACE_TOKENS = 128
"""A prompt that would make a cache forget more tokens than this is another place of the document."""
SAID = 12
"""Middles that are remembered, as drafts: the tries of the last keys."""


@dataclass(frozen=True, slots=True)
class Said:
    """A middle that was decided, shown or not, finished or not."""

    text: str
    """With the prefix that it was decided behind."""
    suffix: str
    tokens: tuple[int, ...] = ()
    faults: Faults | None = None
    """What was wrong with it, see `FillState`; None where nobody has looked."""


@dataclass(slots=True)
class Session:
    """State of one place in a document, kept between requests."""

    name: str
    """The document's name."""
    strategy: DecodingStrategy
    """With the cache of the last request."""
    said: tuple[Said, ...] = ()
    """The latest first."""

    def recalled(self, prefix: str, or_ended: bool = False) -> Said | None:
        """Returns the latest middle that agrees with `prefix` and goes on behind it, or, if asked, ended there."""
        fits = (one for one in self.said if one.text.startswith(prefix))
        return next((one for one in fits if or_ended or one.text != prefix), None)

    def expected(self, prefix: str) -> str:
        """Returns what the latest middle that agrees with `prefix` goes on with; empty where none does."""
        found = self.recalled(prefix)
        return found.text[len(prefix) :] if found else ""

    def note(self, new: Said) -> None:
        """Takes note of a middle."""
        self.said = (new, *(old for old in self.said if old.text != new.text))[:SAID]


class Sessions:
    """Keeps sessions up to a number and a number of bytes; the one used least recently goes first."""

    def __init__(self, make: Callable[[], DecodingStrategy], most: int, most_bytes: int) -> None:
        """Takes what makes a new document's state, and the two limits; the last session stays whatever its size."""
        self._make, self._most, self._most_bytes = make, most, most_bytes
        self._kept: list[Session] = []
        self._in_use = threading.Lock()

    @contextlib.contextmanager
    def lent(self, name: str, context: list[int]) -> Iterator[Session]:
        """The session of a document that has most of `context`; nobody else finds it until it is put back."""
        with self._in_use:
            session = self._taken(name, context)
        session = session or Session(name, self._make())
        is_whole = True
        try:
            yield session
        except Exception as error:
            # what broke off may have left a cache that does not hold what it says
            is_whole = isinstance(error, (Cancelled, InvalidInput))
            raise
        finally:
            with self._in_use:
                self._kept += [session] * is_whole
                self._make_room()

    def latest(self, name: str) -> Session | None:
        """Returns the session of a document that was used last."""
        return next((session for session in reversed(self._kept) if session.name == name), None)

    def unread(self, name: str, context: list[int]) -> int:
        """Returns how many tokens of `context` no session of a document has read."""
        return len(context) - max((common_length(s.strategy.held, context) for s in self._of(name)), default=0)

    def forget(self, name: str = "") -> None:
        """Lets go of the sessions of a document; of all when none is named."""
        with self._in_use:
            self._kept = [session for session in self._kept if name and session.name != name]

    def _of(self, name: str) -> list[Session]:
        return [session for session in self._kept if session.name == name]

    def _make_room(self) -> None:
        while len(self._kept) > self._most or (len(self._kept) > 1 and self._bytes() > self._most_bytes):
            del self._kept[0]

    def _bytes(self) -> int:
        return sum(session.strategy.n_bytes for session in self._kept)

    def _taken(self, name: str, context: list[int]) -> Session | None:
        """Takes the best session out, or leaves it and takes a copy of what it has in common with `context`."""
        own = self._of(name)
        if not own:
            return None
        # the latest of equals
        best = max(reversed(own), key=lambda session: common_length(session.strategy.held, context))
        common = common_length(best.strategy.held, context)
        if len(best.strategy.held) - common > PLACE_TOKENS and (copy := best.strategy.copied(common)):
            return Session(name, copy, best.said)
        self._kept = [session for session in self._kept if session is not best]
        return best
