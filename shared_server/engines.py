"""Makes the engines that the operator's settings name: workers of our own model, or servers elsewhere."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from functools import partial

import msgspec

from coder_model.engine.options import EngineOptions
from coder_model.types import Draft, FillRequest
from lsp_server.backends.base import Backend
from lsp_server.backends.local import WorkerBackend, worker_command
from lsp_server.backends.remote import RemoteBackend
from lsp_server.user_settings import Remote
from shared_server.canary import WithCanary
from shared_server.pool import EnginePool, LocalPool
from shared_server.settings import EngineSettings

MOST_ELSEWHERE = 32
"""Requests that a server elsewhere gets at a time, where the settings do not say."""
NEVER_S = 100 * 365 * 24 * 3600.0
"""A worker of a shared server does not rest: nobody would wake it."""


class Elsewhere(RemoteBackend):
    """A server that speaks one of the protocols of `remote_apis.py`, asked for many people.

    Nobody types against it, so no request waits for a newer one, and the gateway alone keeps the time: that one request
    had little says nothing of the server.
    """

    def __init__(self, remote: Remote) -> None:
        super().__init__(remote, debounce_s=0.0)

    def fill(self, request: FillRequest, watch: bool = False) -> AsyncGenerator[Draft, None]:
        """Yields one draft, the final one; see `Backend.fill`."""
        return super().fill(replace(request, deadline_ms=None), watch)


def own_worker(engine: EngineSettings, replica: str) -> WorkerBackend:
    """Returns a worker of our own model, which no other replica shares.

    Args:
        engine: which model.
        replica: a name; who comes again with the same one finds the same worker.
    """
    options = EngineOptions(sessions=engine.sessions, cache_mb=engine.cache_mb)
    command = worker_command(options, engine.model, engine.verifier, engine.quantize)
    return WorkerBackend([*command, "--idle-seconds", str(NEVER_S), "--replica", replica])


def replica_of(engine: EngineSettings, replica: str) -> Backend:
    """Returns one replica of an engine.

    Raises:
        InvalidInput: when the settings of a server elsewhere lack something.
    """
    if engine.remote:
        return Elsewhere(engine.remote)
    return own_worker(engine, replica)


def local_pool(engine: EngineSettings, make: Callable[[EngineSettings, str], Backend] = replica_of) -> EnginePool:
    """Returns all replicas of an engine, on this machine, with its canary."""
    if engine.canary is None:
        return _replicas(engine, make)
    other = msgspec.structs.replace(
        engine, name=f"{engine.name}-canary", model=engine.canary.model, replicas=1, remote=None, canary=None
    )
    stable = _replicas(msgspec.structs.replace(engine, canary=None), make)
    return WithCanary(stable, _replicas(other, make), engine.canary.share)


def _replicas(engine: EngineSettings, make: Callable[[EngineSettings, str], Backend]) -> LocalPool:
    count = 1 if engine.remote else engine.replicas
    most = engine.max_ongoing or (MOST_ELSEWHERE if engine.remote else 0)
    names = [f"{engine.name}-{i}" for i in range(count)]
    return LocalPool({name: partial(make, engine, name) for name in names}, most)
