"""How much each tenant may ask for: a bucket of requests that fills with time, and each person's requests in flight."""

from __future__ import annotations

import contextlib
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator

from shared_server.problems import over_quota
from shared_server.settings import Quota, ServeSettings
from shared_server.tokens import Caller


class _Bucket:
    """Requests that a tenant may still make at once; a clock that goes back fills nothing, and takes nothing away."""

    def __init__(self, quota: Quota, now: float) -> None:
        self._quota, self._left, self._since = quota, quota.burst, now

    def take(self, now: float) -> float:
        """Takes one request out; returns 0, or the seconds until there is one."""
        passed = max(0.0, now - self._since)
        self._since = now
        self._left = min(self._quota.burst, self._left + passed * self._quota.requests_per_s)
        if self._left < 1:
            return (1 - self._left) / self._quota.requests_per_s
        self._left -= 1
        return 0.0


class Quotas:
    """All tenants' quotas, on a monotonic clock."""

    def __init__(self, settings: ServeSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings, self._clock = settings, clock
        self._buckets: dict[str, _Bucket] = {}
        self._in_flight: Counter[Caller] = Counter()

    def of(self, tenant: str) -> Quota:
        """Returns the quota of a tenant."""
        return self._settings.tenants.get(tenant, self._settings.quota)

    def take(self, caller: Caller) -> None:
        """Counts a request that has come, whatever becomes of it.

        Raises:
            Problem: 429 when the tenant has asked too often.
        """
        quota, now = self.of(caller.tenant), self._clock()
        bucket = self._buckets.setdefault(caller.tenant, _Bucket(quota, now))
        if wait_s := bucket.take(now):
            raise over_quota(f"at most {quota.requests_per_s:g} requests a second of one tenant", math.ceil(wait_s))

    @contextlib.contextmanager
    def in_flight(self, caller: Caller) -> Iterator[None]:
        """Counts a request as one that waits or runs.

        Raises:
            Problem: 429 when this person has too many of them.
        """
        quota = self.of(caller.tenant)
        if self._in_flight[caller] >= quota.in_flight_per_user:
            raise over_quota(f"at most {quota.in_flight_per_user} requests of one person at a time", 1)
        self._in_flight[caller] += 1
        try:
            yield
        finally:
            self._in_flight[caller] -= 1
            if not self._in_flight[caller]:
                del self._in_flight[caller]
