"""Who runs next, who waits, and who is refused. One object for all requests to one engine; knows no engine.

Of those that wait the best priority goes first, then the tenant that has had least lately for its weight, then the
oldest. When the room is full the worst priority is refused, of it the tenant with most waiting, of that the newest.
Nothing of a tenant that has had half its share goes before what others type: urgent is whatever a client calls so.
The last free slot is kept while a tenant that has had less than its share is expected to ask: nobody waits until a
request of another one's flood has ended. What a tenant has to do without depends on what it has waiting itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Collection
from dataclasses import dataclass, field

from shared_server.levels import LEVELS, Priority, level_of
from shared_server.problems import overloaded
from shared_server.shares import Shares

MODEST = 0.5
"""Part of its share: who has had less goes before others by calling a request urgent."""
SMOOTHING = 0.1
"""Weight of the last answer in the average time of one."""


@dataclass(frozen=True, slots=True, eq=False)
class _Ticket:
    tenant: str
    weight: float
    priority: Priority
    number: int
    usual_s: float
    """What it is expected to take, in seconds."""
    turn: asyncio.Future[None] = field(repr=False)


class Admission:
    """Requests that run and requests that wait, of one engine."""

    def __init__(self, slots: Callable[[], int], room: Callable[[], int]) -> None:
        """Takes how many requests may run at the moment, and how many more may wait."""
        self._slots, self._room = slots, room
        self._waiting: list[_Ticket] = []
        self._running = 0
        self._shares = Shares(_now)
        self._numbers = itertools.count()
        self._usual_s = 0.1

    @property
    def waiting(self) -> int:
        """Requests that wait."""
        return len(self._waiting)

    @property
    def running(self) -> int:
        """Requests that run."""
        return self._running

    @property
    def level(self) -> int:
        """Index of the level at which the next request runs."""
        return level_of(self.waiting, self._slots())

    @contextlib.asynccontextmanager
    async def turn(self, tenant: str, priority: Priority, weight: float = 1.0) -> AsyncGenerator[int, None]:
        """Waits until it is this request's turn; gives the level at which it is to run.

        Whoever is cancelled while it waits has never been there: the caller sets the time.

        Raises:
            Problem: 503 when there is no room for a request of this priority.
        """
        if priority is Priority.PREFETCH and not LEVELS[self.level].prefetch:
            raise overloaded(self._retry_after_s())
        level = self._level_of(tenant)
        mine = _Ticket(tenant, weight, priority, next(self._numbers), self._usual_s, _future())
        await self._admitted(mine)
        began = _now()
        try:
            yield max(level, self._level_of(tenant))
        finally:
            took_s = _now() - began
            self._usual_s += SMOOTHING * (took_s - self._usual_s)
            self._leave(mine, took_s)

    def admit(self) -> None:
        """Lets those run that may; called when one has ended, and when there are more slots."""
        # whoever is cancelled is so before it can leave by itself
        self._waiting = [one for one in self._waiting if not one.turn.done()]
        while (free := self._slots() - self._running) > 0:
            had = {name: self._shares.had(name) for name in {one.tenant for one in self._waiting}}
            # a slot is kept only where another one runs: when that ends, this is called again
            is_kept = free == 1 and self._running and self._shares.is_expected(had, self._slots())
            modest = self._modest()
            due = [one for one in self._waiting if not is_kept or self._shares.has_less(one.tenant, self._slots())]
            if not due:
                break
            chosen = min(due, key=lambda one: (_rank(one, modest), had[one.tenant], one.priority, one.number))
            self._waiting.remove(chosen)
            self._running += 1
            # at once, else a flood would have begun many before any is counted
            self._shares.charge(chosen.tenant, chosen.usual_s)
            chosen.turn.set_result(None)

    async def _admitted(self, mine: _Ticket) -> None:
        self._waiting.append(mine)
        self._shares.note(mine.tenant, mine.weight)
        self.admit()
        if len(self._waiting) > self._room():
            self._refuse()
        try:
            await mine.turn
        except asyncio.CancelledError:
            if mine in self._waiting:
                self._waiting.remove(mine)
            elif mine.turn.done() and not mine.turn.cancelled() and not mine.turn.exception():
                # it was its turn in the very moment in which nobody wanted it any more
                self._leave(mine, 0.0)
            raise

    def _leave(self, one: _Ticket, took_s: float) -> None:
        self._running -= 1
        self._shares.charge(one.tenant, took_s - one.usual_s)
        self.admit()

    def _level_of(self, tenant: str) -> int:
        """The level of a tenant: what it would be if each that waits had as many waiting as this one."""
        waiting = Counter(one.tenant for one in self._waiting)
        return level_of(min(self.waiting, waiting[tenant] * len(waiting)), self._slots())

    def _modest(self) -> set[str]:
        """Tenants that wait and have had so little that a request goes before those of others when it is urgent."""
        slots, waiting = self._slots(), {one.tenant for one in self._waiting}
        return {name for name in waiting if self._shares.has_less(name, slots, MODEST)}

    def _refuse(self) -> None:
        """Ends the waiting of the one that can be spared most."""
        of_tenant, modest = Counter(one.tenant for one in self._waiting), self._modest()
        worst = max(
            self._waiting,
            key=lambda one: (_rank(one, modest), of_tenant[one.tenant] / one.weight, one.priority, one.number),
        )
        self._waiting.remove(worst)
        worst.turn.set_exception(overloaded(self._retry_after_s()))

    def _retry_after_s(self) -> int:
        return math.ceil(self._usual_s * (self.waiting + 1) / max(1, self._slots()))


def _rank(one: _Ticket, modest: Collection[str]) -> Priority:
    """Its priority; of a tenant that has had more nothing goes before what others type."""
    return one.priority if one.tenant in modest else max(one.priority, Priority.TYPING)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _future() -> asyncio.Future[None]:
    return asyncio.get_running_loop().create_future()
