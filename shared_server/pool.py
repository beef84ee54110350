"""The replicas of one engine on this machine, and which of them answers a session."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from contextlib import aclosing
from typing import Protocol

from coder_model.types import Draft, FillRequest
from coder_model.worker.protocol import Ready
from lsp_server.backends.base import Backend, BackendUnavailable
from shared_server.ring import Ring

logger = logging.getLogger(__name__)

SUSPECT_AFTER = 2
"""Answers in a row that a replica has owed at their deadline, after which it is asked only if there is no other one."""
OWED_MS = 300.0
"""A request with less time than this says nothing of a replica."""
SUSPECT_S = 5.0
"""For so long; a worker that hangs is ended and started again within this."""
REVIVE_S = 60.0
"""A replica that has died too often is made anew after so long."""


class EnginePool(Protocol):
    """All replicas of one engine."""

    on_change: Callable[[], None]
    """Called when `slots` may have changed."""

    @property
    def controls(self) -> Collection[str]:
        """Fields of `Decoding` that change what it does."""

    @property
    def slots(self) -> int:
        """Fills that run at a time; at least 1."""

    @property
    def size(self) -> int:
        """The same once all replicas are ready."""

    def model_of(self, replica: str) -> str:
        """Which model of our own a replica has; empty where there is none."""

    @property
    def states(self) -> Mapping[str, str]:
        """Each replica's state."""

    async def start(self) -> None:
        """Begins to make the model available; returns at once."""

    def fill(self, key: str, request: FillRequest, watch: bool, tried: list[str]) -> AsyncGenerator[Draft, None]:
        """Yields drafts of the replica that `key` belongs to, the last one final; adds its name to `tried`.

        Replicas in `tried` are asked only where there is no other one. Waits while there is none that is ready.

        Raises:
            Cancelled: when a newer request of the session has come.
            BackendUnavailable: when there is no replica, or it went away.
        """

    async def close(self) -> None:
        """Lets go of all."""


class _Replica:
    def __init__(self, name: str, make: Callable[[], Backend]) -> None:
        self.name, self._make = name, make
        self.backend = make()
        self.ongoing = 0
        self._owed, self._suspect_until = 0, 0.0
        self._down_since: float | None = None

    @property
    def is_suspect(self) -> bool:
        return time.monotonic() < self._suspect_until

    @property
    def state(self) -> str:
        return "suspect" if self.is_suspect and self.backend.state == "ready" else self.backend.state

    def answered(self) -> None:
        self._owed, self._suspect_until = 0, 0.0

    def owes(self) -> None:
        """Takes note of an answer that was not there when its time was over."""
        self._owed += 1
        if self._owed >= SUSPECT_AFTER:
            self._suspect_until = time.monotonic() + SUSPECT_S

    async def revive(self) -> bool:
        """Makes the backend anew when it has been down for long; returns whether it did."""
        if self.backend.state != "down" or self.ongoing:
            self._down_since = None
            return False
        self._down_since = self._down_since or time.monotonic()
        if time.monotonic() - self._down_since < REVIVE_S:
            return False
        # what is let go of gets no request meanwhile
        old, self.backend, self._down_since = self.backend, self._make(), None
        await old.close()
        return True


class LocalPool:
    """Replicas that are backends of this process: workers here, or connections to a server elsewhere."""

    def __init__(self, makers: Mapping[str, Callable[[], Backend]], max_ongoing: int = 0) -> None:
        """Takes what makes each replica, and the requests that one works at; 0: as many as its model runs together."""
        self._replicas = {name: _Replica(name, make) for name, make in makers.items()}
        self._ring = Ring(self._replicas)
        self._max_ongoing = max_ongoing
        self._changed = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self.on_change: Callable[[], None] = lambda: None

    @property
    def controls(self) -> Collection[str]:
        """See `EnginePool`."""
        return next((ready.controls for one in self._replicas.values() if (ready := _ready(one.backend))), ())

    @property
    def slots(self) -> int:
        """See `EnginePool`."""
        return max(1, sum(self._room(one) for one in self._replicas.values() if one.backend.state == "ready"))

    @property
    def size(self) -> int:
        """See `EnginePool`."""
        return sum(map(self._room, self._replicas.values()))

    def model_of(self, replica: str) -> str:  # noqa: ARG002  all have the same
        """See `EnginePool`."""
        return next((ready.model for one in self._replicas.values() if (ready := _ready(one.backend))), "")

    @property
    def states(self) -> Mapping[str, str]:
        """See `EnginePool`."""
        return {name: one.state for name, one in self._replicas.items()}

    async def start(self) -> None:
        """See `EnginePool`."""
        for one in self._replicas.values():
            one.backend.on_change = self._notice
            await one.backend.start()
        self._keeper = asyncio.create_task(self._keep())

    async def fill(self, key: str, request: FillRequest, watch: bool, tried: list[str]) -> AsyncGenerator[Draft, None]:
        """See `EnginePool`."""
        replica = await self._free(key, tried)
        tried.append(replica.name)
        replica.ongoing += 1
        began, is_over = time.monotonic(), False
        try:
            async with aclosing(replica.backend.fill(request, watch)) as drafts:
                async for draft in drafts:
                    if draft.final:
                        is_over = True
                        replica.answered()
                    yield draft
        except BackendUnavailable:
            is_over = True
            raise
        finally:
            replica.ongoing -= 1
            if not is_over and (time.monotonic() - began) * 1000 >= max(OWED_MS, request.deadline_ms or 0.0):
                replica.owes()
            self._notice()

    async def close(self) -> None:
        """See `EnginePool`."""
        if self._keeper:
            self._keeper.cancel()
        for one in self._replicas.values():
            await one.backend.close()

    def _room(self, replica: _Replica) -> int:
        ready = _ready(replica.backend)
        return self._max_ongoing or (ready.max_concurrent if ready else 1)

    async def _free(self, key: str, tried: Collection[str]) -> _Replica:
        """Waits for the first replica of the key's order that can take a request."""
        order = [self._replicas[name] for name in self._ring.order(key)]
        while True:
            changed = self._changed
            ready = [one for one in order if one.backend.state == "ready"]
            ready.sort(key=lambda one: (one.name in tried, one.is_suspect))
            free = next((one for one in ready if one.ongoing < self._room(one)), None)
            if free:
                return free
            if not ready and all(one.backend.state == "down" for one in order):
                # one that was left alone may do better by now; if not, it says why
                return min(order, key=lambda one: one.name in tried)
            await changed.wait()

    def _notice(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
        self.on_change()

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            for one in self._replicas.values():
                if await one.revive():
                    logger.warning("replica %s was down for long and is made anew", one.name)
                    one.backend.on_change = self._notice
                    await one.backend.start()
                    self._notice()


def _ready(backend: Backend) -> Ready | None:
    ready = backend.serving
    return ready if isinstance(ready, Ready) else None
