"""How far a transfer is, how fast, and whether it still moves. Knows neither sources nor files."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from coder_model.errors import Unreachable

REPORT_S = 0.1
"""Between two reports, at least."""
WINDOW_S = 5.0
"""Over which speed is measured."""


@dataclass(frozen=True, slots=True)
class TransferProgress:
    """How far a transfer is."""

    source: str
    """Where the bytes come from, as a person calls it."""
    done: int
    """Bytes, those of earlier attempts counted in."""
    total: int
    bytes_per_s: float
    """Mean over the last seconds; 0 where nothing has arrived."""

    @property
    def seconds_left(self) -> float | None:
        """None while nobody can say."""
        return (self.total - self.done) / self.bytes_per_s if self.bytes_per_s else None


class TransferMeter:
    """Counts the bytes of a transfer, and ends it when they stop coming."""

    def __init__(
        self, total: int, report: Callable[[TransferProgress], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Takes the bytes of all and who is told; `clock` is in seconds."""
        self._total, self._report, self._clock = total, report, clock
        self._samples: deque[tuple[float, int]] = deque()
        self._source, self._most, self._moved, self._limit_s = "", 0, 0.0, 0.0
        self.begin("", 0, 0.0)

    def begin(self, source: str, done: int, limit_s: float) -> None:
        """Starts with a source, at so many bytes; `limit_s` may pass without another one."""
        self._source, self._most, self._limit_s = source, done, limit_s
        self._moved = self._clock()
        self._samples = deque([(self._moved, done)])
        if source:
            self._report(TransferProgress(source, done, self._total, 0.0))

    @property
    def most(self) -> int:
        """Bytes that have been there since the source began."""
        return self._most

    def at(self, done: int) -> None:
        """Notes how many bytes are there; fewer than before, as when a part is unpacked, are not told."""
        if done <= self._most:
            return
        now = self._clock()
        self._most, self._moved = done, now
        if now - self._samples[-1][0] < REPORT_S and done < self._total:
            return
        self._samples.append((now, done))
        while len(self._samples) > 2 and now - self._samples[0][0] > WINDOW_S:
            self._samples.popleft()
        began, first = self._samples[0]
        self._report(TransferProgress(self._source, done, self._total, (done - first) / max(now - began, 1e-3)))

    def check(self) -> None:
        """Raises when too long nothing has come.

        Raises:
            Unreachable: says how long.
        """
        if self._clock() - self._moved > self._limit_s:
            raise Unreachable(f"{self._source} sent nothing for {self._limit_s:.0f} s")
