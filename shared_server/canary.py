"""A canary: another model that a share of the sessions asks, until it errs, beside the replicas that answered so far.

Knows pools alone. What fails there the gateway asks once more, of the others; what hangs there costs its request. A
canary that is taken back gets no new ones, and is let go of when those that run have ended.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from contextlib import aclosing

from coder_model.types import Draft, FillRequest
from lsp_server.backends.base import BackendUnavailable
from shared_server.pool import OWED_MS, EnginePool
from shared_server.ring import place

logger = logging.getLogger(__name__)
LOOKED_AT, MOST_ERRORS = 20, 3
"""Of the last requests to a canary so many may fail; one more, and it is taken back."""


class WithCanary:
    """A pool, and a canary before it; see `EnginePool`."""

    def __init__(self, stable: EnginePool, canary: EnginePool, share: float) -> None:
        """Takes both, and the share of sessions in (0, 1) that the canary gets."""
        self._stable, self._canary, self._share = stable, canary, share
        self._ends: deque[bool] = deque(maxlen=LOOKED_AT)
        self._names: set[str] = set()
        self._ongoing = 0
        self._is_back = False
        self._closing: asyncio.Task[None] | None = None
        self.on_change: Callable[[], None] = lambda: None

    @property
    def controls(self) -> Collection[str]:
        """See `EnginePool`."""
        mine, others = self._stable.controls, self._canary.controls
        return mine if self._is_back else [name for name in mine if name in others]

    @property
    def slots(self) -> int:
        """Those of the others: if the canary is taken back, nobody has been let in for it."""
        return self._stable.slots

    @property
    def size(self) -> int:
        """See `EnginePool`."""
        return self._stable.size

    @property
    def states(self) -> Mapping[str, str]:
        """See `EnginePool`."""
        canary = dict.fromkeys(self._canary.states, "taken back") if self._is_back else self._canary.states
        return {**self._stable.states, **canary}

    def model_of(self, replica: str) -> str:
        """See `EnginePool`."""
        return (self._canary if replica in self._names else self._stable).model_of(replica)

    async def start(self) -> None:
        """See `EnginePool`."""
        self._stable.on_change = self._canary.on_change = lambda: self.on_change()
        await self._stable.start()
        await self._canary.start()

    async def fill(self, key: str, request: FillRequest, watch: bool, tried: list[str]) -> AsyncGenerator[Draft, None]:
        """See `EnginePool`."""
        is_canarys = not tried and self._takes(key)
        pool = self._canary if is_canarys else self._stable
        self._ongoing += is_canarys
        began, is_answered, is_wrong = time.monotonic(), False, False
        try:
            async with aclosing(pool.fill(key, request, watch, tried)) as drafts:
                async for draft in drafts:
                    is_answered = draft.final
                    yield draft
        except BackendUnavailable:
            is_wrong = True
            raise
        finally:
            if is_canarys:
                self._ongoing -= 1
                owed_ms = max(OWED_MS, request.deadline_ms or 0.0)
                is_wrong = is_wrong or (not is_answered and (time.monotonic() - began) * 1000 >= owed_ms)
                self._names.update(tried)
                self._judge(is_answered, is_wrong)

    async def close(self) -> None:
        """See `EnginePool`."""
        await self._stable.close()
        if self._closing:
            await self._closing
        else:
            await self._canary.close()

    def _takes(self, key: str) -> bool:
        is_ready = not self._is_back and "ready" in self._canary.states.values()
        return is_ready and place(key) < self._share

    def _judge(self, is_answered: bool, is_wrong: bool) -> None:
        # who hangs up says nothing of it
        if is_answered or is_wrong:
            self._ends.append(is_wrong)
        if not self._is_back and sum(self._ends) > MOST_ERRORS:
            self._is_back = True
            logger.warning("the canary %s has failed %d of %d", self._canary.states, sum(self._ends), len(self._ends))
        if self._is_back and not self._ongoing and self._closing is None:
            # what ran there has ended
            self._closing = asyncio.create_task(self._canary.close())
