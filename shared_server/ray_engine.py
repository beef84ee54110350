"""An engine on a Ray cluster: what runs in the actor of a replica, and the pool of them that a gateway asks.

A replica holds one worker of our own, or a connection to a server elsewhere. Between gateway and replica travel the
messages of `coder_model/worker/protocol.py`. Imports Ray only where it is used.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from coder_model.types import Cancelled, Draft, FillRequest
from coder_model.worker.protocol import Dropped, FillProgress, Ready
from lsp_server.backends.base import Backend, BackendUnavailable
from shared_server.engines import replica_of
from shared_server.settings import EngineSettings

if TYPE_CHECKING:
    from ray.serve.handle import DeploymentHandle

APPLICATION = "unmask"
LOOK_S = 1.0
"""How often a gateway asks how many replicas there are."""
ON_A_GPU = 32
"""Requests that a replica with a GPU works at, where the settings do not say."""


class _Sent(msgspec.Struct, frozen=True):
    """What a gateway sends a replica."""

    request: FillRequest
    watch: bool
    expires: float
    """Seconds of the wall clock, which machines have in common; the request's own time is the upper bound."""


class About(msgspec.Struct, frozen=True):
    """What a replica says of itself."""

    model: str = ""
    controls: tuple[str, ...] = ()


_Said = FillProgress | Dropped
_sent = msgspec.msgpack.Decoder(_Sent)
_said: msgspec.msgpack.Decoder[_Said] = msgspec.msgpack.Decoder(_Said)
_pack = msgspec.msgpack.Encoder().encode


class EngineReplica:
    """One replica: what Ray runs in an actor of its own. A worker that dies or hangs it starts again by itself."""

    async def __init__(self, engine: bytes, name: str = "") -> None:  # type: ignore[misc]
        """Loads the model: Ray counts the replica in when this returns.

        Args:
            engine: `EngineSettings` as JSON.
            name: of the replica; Ray's own when empty.
        """
        self._name = name or _replica_name()
        self._backend: Backend = replica_of(msgspec.json.decode(engine, type=EngineSettings), self._name)
        await self._backend.start()
        await self._backend.wait_ready()

    async def fill(self, data: bytes) -> AsyncGenerator[bytes, None]:
        """Yields what becomes of a fill, first the replica's name."""
        sent = _sent.decode(data)
        yield self._name.encode()
        left_ms = min((sent.expires - time.time()) * 1000, sent.request.deadline_ms or 0.0)
        if left_ms <= 0:
            yield _pack(Dropped(0, "the deadline has passed"))
            return
        try:
            async with asyncio.timeout(left_ms / 1000):
                # a worker that died is started again
                await self._backend.wait_ready()
            async for draft in self._backend.fill(replace(sent.request, deadline_ms=left_ms), sent.watch):
                yield _pack(FillProgress(0, draft))
        except Cancelled:
            yield _pack(Dropped(0))
        except TimeoutError:
            yield _pack(Dropped(0, "the model was not ready in time"))
        except BackendUnavailable as error:
            yield _pack(Dropped(0, str(error)))

    async def about(self) -> bytes:
        """Returns `About`."""
        ready = self._backend.serving
        return _pack(About(ready.model, ready.controls) if isinstance(ready, Ready) else About())

    async def check_health(self) -> None:
        """Raises where Ray is to start another replica instead; of a loop that hangs, silence says the same."""
        if self._backend.state == "down":
            raise RuntimeError(self._backend.reason)

    async def __del__(self) -> None:
        """Called when the replica is drained."""
        await self._backend.close()


def _replica_name() -> str:
    from ray import serve

    return str(serve.get_replica_context().replica_id.unique_id)


class RayPool:
    """All replicas of one engine, behind a handle of Ray Serve; see `EnginePool`."""

    def __init__(self, handle: DeploymentHandle[Any], engine: EngineSettings, gateways: int) -> None:
        """Takes the deployment, its settings, and how many gateways share it."""
        self._handle, self._engine, self._gateways = handle, engine, gateways
        self._about = About()
        self._states: Mapping[str, str] = {}
        self._keeper: asyncio.Task[None] | None = None
        self.on_change: Callable[[], None] = lambda: None

    @property
    def controls(self) -> Collection[str]:
        """See `EnginePool`."""
        return self._about.controls

    @property
    def slots(self) -> int:
        """See `EnginePool`."""
        ready = sum(state == "ready" for state in self._states.values())
        return max(1, ready * max_ongoing(self._engine) // self._gateways)

    @property
    def size(self) -> int:
        """See `EnginePool`."""
        return max(self.slots, self._engine.replicas * max_ongoing(self._engine) // self._gateways)

    def model_of(self, replica: str) -> str:  # noqa: ARG002  all have the same
        """See `EnginePool`."""
        return self._about.model

    @property
    def states(self) -> Mapping[str, str]:
        """See `EnginePool`."""
        return self._states

    async def start(self) -> None:
        """See `EnginePool`."""
        self._keeper = asyncio.create_task(self._look())

    async def fill(self, key: str, request: FillRequest, watch: bool, tried: list[str]) -> AsyncGenerator[Draft, None]:
        """See `EnginePool`."""
        from ray.exceptions import RayError
        from ray.serve.exceptions import RayServeException

        # another place on the ring for another try
        session = f"{key}#{len(tried)}" if tried else key
        expires = time.time() + (request.deadline_ms or 0.0) / 1000
        said = self._handle.options(stream=True, session_id=session).fill.remote(_pack(_Sent(request, watch, expires)))
        is_over = False
        tried.append("?")
        try:
            async for data in said:
                if tried[-1] == "?":
                    tried[-1] = data.decode()
                    continue
                draft = _draft(_said.decode(data))
                is_over = draft.final
                yield draft
        except (RayError, RayServeException) as error:
            is_over = True
            raise BackendUnavailable(type(error).__name__) from None
        finally:
            if not is_over:
                said.cancel()

    async def close(self) -> None:
        """See `EnginePool`."""
        if self._keeper:
            self._keeper.cancel()

    async def _look(self) -> None:
        """Keeps what is known of the replicas up to date."""
        from ray.exceptions import RayError
        from ray.serve.exceptions import RayServeException

        while True:
            with contextlib.suppress(RayError, RayServeException):
                self._states = await asyncio.to_thread(_states_of, self._engine.name)
                if not self._about.model:
                    self._about = msgspec.msgpack.decode(await self._handle.about.remote(), type=About)
                self.on_change()
            await asyncio.sleep(LOOK_S)


def _draft(said: _Said) -> Draft:
    if isinstance(said, Dropped):
        if said.error:
            raise BackendUnavailable(said.error)
        raise Cancelled
    return said.draft


def _states_of(deployment: str) -> Mapping[str, str]:
    from ray import serve

    found = serve.status().applications[APPLICATION].deployments.get(deployment)
    counts = found.replica_states if found else {}
    names = {"RUNNING": "ready"}
    return {
        f"{state.lower()} {i}": names.get(state, state.lower()) for state, count in counts.items() for i in range(count)
    }


def max_ongoing(engine: EngineSettings) -> int:
    """Returns the requests that a replica works at."""
    return engine.max_ongoing or (ON_A_GPU if engine.gpus or engine.remote else 1)
