"""What waits for the one model, from every editor window, and whether what runs is still wanted.

This is where the newest request of a document wins: `put` drops those of its session that wait and stops the one that
runs. A front only cancels what it does not await any more.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from coder_model.worker.protocol import Fill, FromWorker, Warm


class Requester(Protocol):
    """An editor window that asks for fills."""

    def send(self, message: FromWorker) -> None:
        """Tells it what became of one."""

    def __hash__(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Job:
    """Work for the model and the client that asked for it."""

    client: Requester
    work: Fill | Warm

    @property
    def session(self) -> tuple[Requester, str]:
        """A document in one editor window: the same file in another one is another session."""
        return self.client, self.work.request.session

    @property
    def rank(self) -> int:
        """Priority: 0 a person waits; 1 nobody waits yet for the answer; 2 there is no answer to wait for."""
        return 2 if isinstance(self.work, Warm) else int(self.work.request.speculative)

    def replaces(self, old: Job) -> bool:
        """Returns True when a waiting one need not be done any more: a window is in one place at a time."""
        if isinstance(self.work, Warm):
            return isinstance(old.work, Warm) and old.client == self.client
        return old.session == self.session

    def ends(self, old: Job, is_full: bool) -> bool:
        """Returns True when it takes the model from a running one: of its session, or where there is no other room."""
        if isinstance(self.work, Warm):
            return isinstance(old.work, Warm) and (is_full or old.session == self.session)
        return old.session == self.session or (is_full and old.rank > self.rank)


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
            dropped = self._remove(job.replaces)
            is_full = len(self._running) >= self.max_concurrent
            self._stop(lambda old: job.ends(old, is_full))
            self._waiting.append(job)
            self._changed.notify()
            return dropped

    def cancel(self, client: Requester, fill_id: int) -> list[Job]:
        """Removes or stops a fill; returns it if it was waiting."""
        return self._drop(lambda job: job.client == client and isinstance(job.work, Fill) and job.work.id == fill_id)

    def leave(self, client: Requester) -> None:
        """Drops all that a client has asked for."""
        self._drop(lambda job: job.client == client)

    def take(self, seconds: float | None = None) -> Job | None:
        """Waits for the next job that may run, by rank; None when nothing runs or comes for so long."""
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
        return min(free, key=lambda job: job.rank, default=None)

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
