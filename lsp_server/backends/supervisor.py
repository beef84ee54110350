"""How often a worker that dies is started again, and when one that lives counts as hung."""

from __future__ import annotations

from collections import deque

DELAYS_S = (0.2, 1.0, 5.0, 30.0)
MAX_DEATHS, WINDOW_S = 5, 180.0
"""After this many deaths within this time it stays down."""
HANG_S = 5.0
"""A pass of the model that takes longer than this never ends."""


class Backoff:
    """Counts deaths and says how long to wait before the next start."""

    def __init__(self) -> None:
        self._deaths: deque[float] = deque()

    def after_death(self, now: float) -> float | None:
        """Notes a death; returns the seconds to wait, or None to stay down.

        Args:
            now: seconds of a monotonic clock.
        """
        self._deaths.append(now)
        while now - self._deaths[0] > WINDOW_S:
            self._deaths.popleft()
        if len(self._deaths) >= MAX_DEATHS:
            return None
        return DELAYS_S[min(len(self._deaths), len(DELAYS_S)) - 1]


class Pulse:
    """Whether a worker that has something to do goes on with it."""

    def __init__(self) -> None:
        self._passes: int | None = None
        self._beat_at: float | None = None

    def felt(self, passes: int | None, now: float) -> None:
        """Notes a sign of life.

        Args:
            passes: that the model has begun so far; None while it has nothing to do.
            now: seconds of a monotonic clock.
        """
        if passes is None or passes != self._passes:
            self._passes, self._beat_at = passes, now

    def is_lost(self, now: float) -> bool:
        """Returns True when no pass was begun for `HANG_S` seconds; the first question starts the clock."""
        if self._beat_at is None:
            self._beat_at = now
        return now - self._beat_at > HANG_S
