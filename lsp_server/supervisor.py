"""How often a worker that dies is started again."""

from __future__ import annotations

from collections import deque

DELAYS_S = (0.2, 1.0, 5.0, 30.0)
MAX_DEATHS, WINDOW_S = 5, 180.0
"""After this many deaths within this time it stays down."""


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
