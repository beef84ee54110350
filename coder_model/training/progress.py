"""What is said on stderr of what takes minutes: bars, and one line that tells how far a run is."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

EVERY_S = 5.0
"""Seconds between two lines where there is no terminal."""


def share_bars() -> Progress:
    """Returns a context in which shares of the work are shown, and the time that is left."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:.0f} %"))
    return Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True))


class Ticker:
    """Says how far something is: on a terminal in one line that is written again, elsewhere in a line now and then."""

    def __init__(self, console: Console | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        """Takes where it is said, stderr when nothing is named, and what tells the seconds."""
        self._console = console or Console(stderr=True, highlight=False)
        self._clock = clock
        self._status = self._console.status("") if self._console.is_terminal else None
        self._said = clock()

    def __enter__(self) -> Ticker:
        if self._status:
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._status:
            self._status.stop()

    def tell(self, text: str) -> None:
        """Shows a line; elsewhere than on a terminal only every `EVERY_S` seconds."""
        now = self._clock()
        if self._status:
            self._status.update(text)
        elif now - self._said >= EVERY_S:
            self._said = now
            self.note(text)

    def note(self, text: str) -> None:
        """Says what stays: a line anywhere, at once."""
        self._console.print(text, soft_wrap=True)


def left(seconds: float) -> str:
    """Returns a time as people say it: `40 s`, `12 min`, `3.5 h`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
