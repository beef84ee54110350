"""The fills that wait for the one model, from every editor window, and whether those that run are still wanted.

This is where the newest request of a document wins: `put` drops those of its session that wait and stops the one that
runs. A front only cancels what it does not await any more.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from coder_model.worker.protocol import Fill, FromWorker


class Requester(Protocol):
    """Who asks for fills: an editor window."""

    def send(self, message: FromWorker) -> None:
        """Tells it what became of one."""

    def __hash__(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Job:
    """A fill and the client that asked for it."""

    client: Requester
    fill: Fill

    @property
    def session(self) -> tuple[Requester, str]:
        """A document in one editor window: the same file in another one is another session."""
        return self.client, self.fill.request.session


class RequestQueue:
    """Jobs in order of arrival. Readers put them in, one thread takes them out, whoever runs one says when it ends."""

    def __init__(self) -> None:
        self.max_concurrent = 1
        """Jobs that may run together; never two of a session."""
        self._waiting: list[Job] = []
        self._running: list[Job] = []
        self._stopped: list[Job] = []
        """Those of `_running` that are not wanted any more."""
        self._asked = 0
        self._changed = threading.Condition()

    @property
    def passes(self) -> int | None:
        """Passes that were begun so far; None while nothing runs and nothing waits."""
        return self._asked if self._running or self._waiting else None

    def put(self, job: Job) -> list[Job]:
        """Adds a job; returns the waiting ones that it supersedes."""
        with self._changed:
            dropped = self._remove(lambda old: old.session == job.session)
            is_full = len(self._running) >= self.max_concurrent
            self._stop(
                lambda old: (
                    old.session == job.session
                    or (is_full and old.fill.request.speculative and not job.fill.request.speculative)
                )
            )
            self._waiting.append(job)
            self._changed.notify()
            return dropped

    def cancel(self, client: Requester, fill_id: int) -> list[Job]:
        """Removes or stops a fill; returns it if it was waiting."""
        return self._drop(lambda job: job.client == client and job.fill.id == fill_id)

    def leave(self, client: Requester) -> None:
        """Drops all that a client has asked for."""
        self._drop(lambda job: job.client == client)

    def take(self, seconds: float | None = None) -> Job | None:
        """Waits for the next job that may run, speculative ones last; None when nothing runs or comes for so long."""
        with self._changed:
            while not self._changed.wait_for(self._next, seconds):
                if not self._running:
                    return None
            job = self._next()
            assert job is not None
            self._waiting.remove(job)
            self._running.append(job)
            return job

    def finish(self, job: Job) -> None:
        """Makes room for the next one."""
        with self._changed:
            self._running = [one for one in self._running if one is not job]
            self._stopped = [one for one in self._stopped if one is not job]
            self._changed.notify()

    def unwanted(self, job: Job) -> bool:
        """Returns True once a running fill is superseded or cancelled; asked before every pass."""
        self._asked += 1
        return any(one is job for one in self._stopped)

    def _next(self) -> Job | None:
        """The job that may run now."""
        if len(self._running) >= self.max_concurrent:
            return None
        sessions = [job.session for job in self._running]
        free = [job for job in self._waiting if job.session not in sessions]
        return min(free, key=lambda job: job.fill.request.speculative, default=None)

    def _stop(self, wanted: Callable[[Job], bool]) -> None:
        self._stopped += [job for job in self._running if wanted(job)]

    def _drop(self, wanted: Callable[[Job], bool]) -> list[Job]:
        with self._changed:
            self._stop(wanted)
            return self._remove(wanted)

    def _remove(self, wanted: Callable[[Job], bool]) -> list[Job]:
        dropped = [job for job in self._waiting if wanted(job)]
        self._waiting = [job for job in self._waiting if not wanted(job)]
        return dropped
