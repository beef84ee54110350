"""From a request that is understood to its answer: quota, turn, replica, deadline, one more try, and the newest wins.

Knows no HTTP and no engine. Time is that of a monotonic clock from here on: the wall clock may jump.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace

from coder_model.types import Cancelled, Draft, FillRequest
from lsp_server.backends.base import BackendUnavailable
from shared_server.admission import Admission
from shared_server.levels import LEVELS, Priority, lowered
from shared_server.pool import EnginePool
from shared_server.problems import superseded, too_late, unavailable
from shared_server.quotas import Quotas
from shared_server.settings import Limits
from shared_server.tokens import Caller

logger = logging.getLogger(__name__)
Show = Callable[[Draft], Awaitable[None]]
_NOTHING = Draft("", True, 1.0, 0, 0, 0.0)


@dataclass(frozen=True, slots=True)
class Ask:
    """A request that is understood."""

    caller: Caller
    engine: str
    request: FillRequest
    """Its session names tenant, person and document; with 0 as `max_tokens` nothing is filled."""
    priority: Priority
    deadline: float
    """Seconds of the monotonic clock."""
    show: Show | None = None
    """Called with each draft before the last, for who wants to watch."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What a request has got, and what that took."""

    draft: Draft
    is_cut: bool
    """Whether the answer would have gone on."""
    model: str
    level: int
    tried: tuple[str, ...]
    """Names of the replicas that were asked, in order; two when the first one failed."""
    waited_ms: float
    """Until it was its turn."""


class Offered:
    """One model that is offered: its replicas, and who may ask them now."""

    def __init__(self, name: str, pool: EnginePool, limits: Limits) -> None:
        self.name, self.pool = name, pool
        # the room stays as it is while a replica is away: who waits is not to be refused for that
        self.admission = Admission(lambda: pool.slots, lambda: limits.waiting_per_slot * max(1, pool.size))
        pool.on_change = self.admission.admit


class Gateway:
    """Answers requests of all tenants by all engines."""

    def __init__(self, pools: Mapping[str, EnginePool], quotas: Quotas, limits: Limits) -> None:
        self.engines = {name: Offered(name, pool, limits) for name, pool in pools.items()}
        self._quotas = quotas
        self._newest: dict[str, asyncio.Task[Answered]] = {}

    async def start(self) -> None:
        """Begins to load the models; returns at once."""
        for engine in self.engines.values():
            await engine.pool.start()

    async def close(self) -> None:
        """Lets go of all engines."""
        for engine in self.engines.values():
            await engine.pool.close()

    def count(self, caller: Caller) -> None:
        """Counts a request that has come, before anything of it is read: a flood is to cost as little as it can.

        Raises:
            Problem: 429 when its tenant has asked too often.
        """
        self._quotas.take(caller)

    async def answer(self, ask: Ask) -> Answered:
        """Returns the answer of a request; whoever cancels this frees all that it has taken.

        Raises:
            Problem: 409 when a newer request of the session has come, 429 when too many of this person are in flight,
                503 without room or replica, 504 after the deadline.
        """
        if ask.request.max_tokens == 0:
            return Answered(_NOTHING, False, "", 0, (), 0.0)
        session = ask.request.session
        older = self._newest.get(session)
        task = self._newest[session] = asyncio.create_task(self._after(older, ask))
        try:
            return await task
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if current and current.cancelling():
                raise
            raise superseded() from None
        finally:
            task.cancel()
            if self._newest.get(session) is task:
                del self._newest[session]

    async def _after(self, older: asyncio.Task[Answered] | None, ask: Ask) -> Answered:
        if older:
            # what it has taken is free again when it has ended
            older.cancel()
            await asyncio.wait([older])
        with self._quotas.in_flight(ask.caller):
            try:
                async with asyncio.timeout(ask.deadline - time.monotonic()):
                    return await self._in_turn(ask)
            except TimeoutError:
                raise too_late() from None

    async def _in_turn(self, ask: Ask) -> Answered:
        engine = self.engines[ask.engine]
        weight = self._quotas.of(ask.caller.tenant).weight
        came = time.monotonic()
        async with engine.admission.turn(ask.caller.tenant, ask.priority, weight) as level:
            waited_ms = (time.monotonic() - came) * 1000
            tried: list[str] = []
            # a fill changes nothing: what one replica has failed to answer another one may be asked
            for is_last in (False, True):
                try:
                    draft, is_cut = await self._asked(engine.pool, ask, level, tried)
                except BackendUnavailable as error:
                    if is_last:
                        logger.warning("%s: %s", ask.engine, error)
                        raise unavailable() from None
                except Cancelled:
                    raise superseded() from None
                else:
                    break
            if not draft.finished and not draft.text:
                raise too_late()
            return Answered(draft, is_cut, engine.pool.model_of(tried[-1]), level, tuple(tried), waited_ms)

    async def _asked(self, pool: EnginePool, ask: Ask, level: int, tried: list[str]) -> tuple[Draft, bool]:
        """One try; returns the last draft, and whether it would have gone on."""
        left_ms = (ask.deadline - time.monotonic()) * 1000
        request = lowered(ask.request, LEVELS[level], ask.priority, left_ms, pool.controls)
        within: Draft | None = None
        async with aclosing(pool.fill(request.session, request, _watches(ask), tried)) as drafts:
            async for draft in drafts:
                if request.max_tokens is not None and draft.tokens > request.max_tokens:
                    return replace(within or draft, text=within.text if within else "", final=True), True
                if draft.final:
                    return draft, not draft.finished
                within = draft
                if ask.show:
                    await ask.show(draft)
        raise BackendUnavailable("the engine has ended without an answer")


def _watches(ask: Ask) -> bool:
    return ask.show is not None or ask.request.max_tokens is not None
