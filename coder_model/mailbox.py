"""The fills that wait for the one model, from every editor window, and whether the running one is still wanted."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from coder_model.messages import Fill, FromWorker


class Asker(Protocol):
    """Who asks for fills: an editor window."""

    def send(self, message: FromWorker) -> None:
        """Tells it what became of one."""

    def __hash__(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Job:
    """A fill and the client that asked for it."""

    client: Asker
    fill: Fill

    @property
    def session(self) -> tuple[Asker, str]:
        """A document in one editor window: the same file in another one is another session."""
        return self.client, self.fill.request.session


class Mailbox:
    """Jobs in order of arrival. Readers put them in, one thread takes them out."""

    def __init__(self) -> None:
        self._waiting: list[Job] = []
        self._running: Job | None = None
        self._unwanted = False
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
            running = self._running
            if running and (
                running.session == job.session
                or (running.fill.request.speculative and not job.fill.request.speculative)
            ):
                self._unwanted = True
            self._waiting.append(job)
            self._changed.notify()
            return dropped

    def cancel(self, client: Asker, fill_id: int) -> list[Job]:
        """Removes or stops a fill; returns it if it was waiting."""
        return self._drop(lambda job: job.client == client and job.fill.id == fill_id)

    def leave(self, client: Asker) -> None:
        """Drops all that a client has asked for."""
        self._drop(lambda job: job.client == client)

    def take(self, seconds: float | None = None) -> Job | None:
        """Waits for the next job and makes it the running one, speculative ones last; None when none comes in time."""
        with self._changed:
            self._running = None
            if not self._changed.wait_for(lambda: self._waiting, seconds):
                return None
            self._running = min(self._waiting, key=lambda job: job.fill.request.speculative)
            self._unwanted = False
            self._waiting.remove(self._running)
            return self._running

    def unwanted(self) -> bool:
        """Returns True once the running fill is superseded or cancelled; asked before every pass."""
        self._asked += 1
        return self._unwanted

    def _drop(self, wanted: Callable[[Job], bool]) -> list[Job]:
        with self._changed:
            if self._running and wanted(self._running):
                self._unwanted = True
            return self._remove(wanted)

    def _remove(self, wanted: Callable[[Job], bool]) -> list[Job]:
        dropped = [job for job in self._waiting if wanted(job)]
        self._waiting = [job for job in self._waiting if not wanted(job)]
        return dropped
