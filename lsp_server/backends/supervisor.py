"""How often a worker that dies is started again, and when one that lives counts as hung."""

from __future__ import annotations

import math
from collections import deque

DELAYS_S = (0.2, 1.0, 5.0, 30.0)
MAX_DEATHS, WINDOW_S = 5, 180.0
"""After this many deaths within this time it stays down."""
HANG_S = 5.0
"""A pass of the model that takes longer than this is looked at: it may wait for something that never comes."""
BUSY_SHARE = 0.005
"""Of one processor that a worker has at least had meanwhile if it only shares a busy machine."""
MOST_PROCESSOR_S = 120.0
"""Seconds of processors after which a pass never ends: the longest one reads 256 tokens into the largest model."""


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
        self._beat_at = self._told_at = -math.inf
        self._processor_s = self._at_beat_s = 0.0

    def felt(self, passes: int | None, processor_s: float, now: float) -> None:
        """Notes a sign of life.

        Args:
            passes: that the model has begun so far; None while it has nothing to do.
            processor_s: seconds of processors that the worker has had.
            now: seconds of a monotonic clock.
        """
        self._told_at, self._processor_s = now, processor_s
        if passes is None or passes != self._passes:
            self._passes, self._beat_at, self._at_beat_s = passes, now, processor_s

    def is_lost(self, now: float) -> bool:
        """Returns True when the worker is deaf for `HANG_S` seconds, or does nothing for a pass, or does it for ever.

        The first question starts the clock.
        """
        if self._beat_at == -math.inf:
            self._beat_at = self._told_at = now
        waited = now - self._beat_at
        if waited <= HANG_S:
            return False
        worked = self._processor_s - self._at_beat_s
        is_deaf = now - self._told_at > HANG_S
        return is_deaf or not BUSY_SHARE * waited <= worked < MOST_PROCESSOR_S
