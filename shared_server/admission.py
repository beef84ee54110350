"""Who runs next, who waits, and who is refused. One object for all requests to one engine; knows no engine.

Of those that wait the best priority goes first, then the tenant with the least running for its weight, then the
oldest. When the room is full the worst priority is refused, of it the tenant with most waiting, of that the newest.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field

from shared_server.levels import LEVELS, Priority, level_of
from shared_server.problems import overloaded

SMOOTHING = 0.1
"""Weight of the last answer in the average time of one."""


@dataclass(frozen=True, slots=True, eq=False)
class _Ticket:
    tenant: str
    weight: float
    priority: Priority
    number: int
    turn: asyncio.Future[None] = field(repr=False)


class Admission:
    """Requests that run and requests that wait, of one engine."""

    def __init__(self, slots: Callable[[], int], room: Callable[[], int]) -> None:
        """Takes how many requests may run at the moment, and how many more may wait."""
        self._slots, self._room = slots, room
        self._waiting: list[_Ticket] = []
        self._running: Counter[str] = Counter()
        self._numbers = itertools.count()
        self._usual_s = 0.1

    @property
    def waiting(self) -> int:
        """Requests that wait."""
        return len(self._waiting)

    @property
    def running(self) -> int:
        """Requests that run."""
        return self._running.total()

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
        level = self.level
        if priority is Priority.PREFETCH and not LEVELS[level].prefetch:
            raise overloaded(self._retry_after_s())
        await self._admitted(tenant, priority, weight)
        began = asyncio.get_running_loop().time()
        try:
            yield max(level, self.level)
        finally:
            self._usual_s += SMOOTHING * (asyncio.get_running_loop().time() - began - self._usual_s)
            self._running[tenant] -= 1
            self.admit()

    def admit(self) -> None:
        """Lets those run that may; called when one has ended, and when there are more slots."""
        # whoever is cancelled is so before it can leave by itself
        self._waiting = [one for one in self._waiting if not one.turn.done()]
        while self._waiting and self.running < self._slots():
            chosen = min(self._waiting, key=self._rank)
            self._waiting.remove(chosen)
            self._running[chosen.tenant] += 1
            chosen.turn.set_result(None)

    async def _admitted(self, tenant: str, priority: Priority, weight: float) -> None:
        future = asyncio.get_running_loop().create_future()
        mine = _Ticket(tenant, weight, priority, next(self._numbers), future)
        self._waiting.append(mine)
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
                self._running[tenant] -= 1
                self.admit()
            raise

    def _rank(self, one: _Ticket) -> tuple[int, float, int]:
        return one.priority, self._running[one.tenant] / one.weight, one.number

    def _refuse(self) -> None:
        """Ends the waiting of the one that can be spared most."""
        of_tenant = Counter(one.tenant for one in self._waiting)
        worst = max(self._waiting, key=lambda one: (one.priority, of_tenant[one.tenant] / one.weight, one.number))
        self._waiting.remove(worst)
        worst.turn.set_exception(overloaded(self._retry_after_s()))

    def _retry_after_s(self) -> int:
        return math.ceil(self._usual_s * (self.waiting + 1) / max(1, self._slots()))
