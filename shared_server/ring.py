"""Which replica has a session: consistent hashing, so that a replica that comes or goes moves only its own share."""

from __future__ import annotations

import bisect
import hashlib
from collections.abc import Iterable

POINTS = 100
"""Places of each replica on the ring."""


def place(key: str) -> float:
    """Returns where a key is on the circle, in [0, 1)."""
    return _hash(key) / 2**64


class Ring:
    """Names on a circle of hashes."""

    def __init__(self, names: Iterable[str]) -> None:
        points = sorted((_hash(f"{name}:{i}"), name) for name in names for i in range(POINTS))
        self._hashes = [place for place, _ in points]
        self._names = [name for _, name in points]

    def order(self, key: str) -> list[str]:
        """Returns all names, the one that has `key` first, then those that would have it if the ones before left."""
        start = bisect.bisect(self._hashes, _hash(key))
        return list(dict.fromkeys(self._names[start:] + self._names[:start]))


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
