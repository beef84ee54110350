"""How much of an engine each tenant has had lately, and whether that is less than its share. Knows no requests."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass

LATELY_S = 10.0
"""Seconds in which what a tenant has had fades to a third of it."""
AGAIN_S = 5.0
"""A tenant that has asked within so long is expected to ask again."""
FORGOTTEN_S = 700.0
"""A tenant that has not asked for so long is forgotten: longer than any request waits (`Limits.farthest_ms`)."""
OF_SHARE = 0.8
"""Less than this part is less than a share: who has one slot all the time has had a little less than a whole one."""


@dataclass(slots=True)
class _Had:
    weight: float
    asked: float
    """When it has asked last, in seconds of the clock, as is the next."""
    at: float
    seconds: float = 0.0
    """Of slots, as of `at`."""


class Shares:
    """What all tenants of one engine have had."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Takes a monotonic clock, in seconds."""
        self._clock = clock
        self._tenants: dict[str, _Had] = {}

    def note(self, tenant: str, weight: float) -> None:
        """Takes note of a tenant that asks, with its share of the whole beside other tenants."""
        now = self._clock()
        self._tenants = {name: one for name, one in self._tenants.items() if now - one.asked < FORGOTTEN_S}
        had = self._tenants.setdefault(tenant, _Had(weight, now, now))
        had.weight, had.asked = weight, now

    def charge(self, tenant: str, seconds: float) -> None:
        """Counts seconds of a slot in, or out where they are negative."""
        if had := self._tenants.get(tenant):
            had.seconds, had.at = max(0.0, self._faded(had) + seconds), self._clock()

    def had(self, tenant: str) -> float:
        """Returns the seconds of slots that a tenant has had for its weight, the older the less."""
        had = self._tenants[tenant]
        return self._faded(had) / had.weight

    def has_less(self, tenant: str, slots: int, part: float = OF_SHARE) -> bool:
        """Returns whether a tenant has had less than a part of its share of so many slots, among all that ask now."""
        now, mine = self._clock(), self._tenants[tenant]
        asking = sum(one.weight for one in self._tenants.values() if now - one.asked < AGAIN_S or one is mine)
        share = slots * mine.weight / asking
        return share >= slots or self._faded(mine) < part * share * LATELY_S

    def is_expected(self, waiting: Collection[str], slots: int) -> bool:
        """Returns whether a tenant that has had less than its share will soon ask, beside those that wait already."""
        now = self._clock()
        lately = (name for name, one in self._tenants.items() if now - one.asked < AGAIN_S and name not in waiting)
        return any(self.has_less(name, slots) for name in lately)

    def _faded(self, had: _Had) -> float:
        return had.seconds * math.exp((had.at - self._clock()) / LATELY_S)
