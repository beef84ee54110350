"""Which thread runs the passes of a device: the leader/followers pattern (Schmidt et al., POSA volume 2, 2000).

There is no thread for it. Whoever needs a pass leaves it and waits for the device. The first to have the device is the
leader: it runs the oldest pass together with those that may be batched with it, then the next, until its own is done.
So batches form by themselves under load, a fill joins or leaves between any two passes, a long context, read in
portions, lets others pass between them, and where one thread asks nothing is handed over.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

Work = TypeVar("Work")


@dataclass(slots=True, eq=False)
class _Waiting(Generic[Work]):
    work: Work
    done: bool = False
    error: Exception | None = None


class LeaderFollowers(Generic[Work]):
    """Runs work in batches, in the threads that ask for it, one batch at a time."""

    def __init__(self, batch: Callable[[list[Work]], list[Work]], execute: Callable[[list[Work]], None]) -> None:
        """Takes what is batched, and how a batch is run.

        Args:
            batch: given the work that waits, oldest first, returns those that run now, the oldest among them.
            execute: runs them.
        """
        self._batch, self._execute = batch, execute
        self._waiting: list[_Waiting[Work]] = []
        self._changed = threading.Lock()
        self.device = threading.Lock()
        """Held while a batch runs."""

    def run(self, work: Work) -> None:
        """Returns when the work is done, with others or alone.

        Raises:
            Exception: what went wrong in its batch.
        """
        mine = _Waiting(work)
        with self._changed:
            self._waiting.append(mine)
        with self.device:
            while not mine.done:
                self._lead()
        if mine.error:
            raise mine.error

    def _lead(self) -> None:
        """Runs the oldest work that waits, and what is batched with it."""
        with self._changed:
            works = self._batch([one.work for one in self._waiting])
            chosen = [one for one in self._waiting if any(one.work is work for work in works)]
            self._waiting = [one for one in self._waiting if one not in chosen]
        error: Exception | None = None
        try:
            self._execute(works)
        except Exception as raised:  # whoever asked is told; the leader may be somebody else
            error = raised
        for one in chosen:
            one.done, one.error = True, error
