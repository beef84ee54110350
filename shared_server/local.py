"""`unmask serve --engine local`: the gateway in this process, on a port, with workers on this machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from shared_server.audit import Audit
from shared_server.doors import Doors
from shared_server.engines import local_pool
from shared_server.gateway import Gateway
from shared_server.listener import listen
from shared_server.oidc import ProviderTokens
from shared_server.pool import EnginePool
from shared_server.quotas import Quotas
from shared_server.settings import ServeSettings
from shared_server.tokens import TokenFile
from shared_server.traces import tracer
from shared_server.web import Web

if TYPE_CHECKING:
    from starlette.applications import Starlette


def gateway_app(settings: ServeSettings, pools: Mapping[str, EnginePool]) -> Starlette:
    """Returns the gateway of these engines as an ASGI application.

    Raises:
        InvalidInput: when a file of the settings cannot be used.
    """
    gateway = Gateway(pools, Quotas(settings), settings.limits)
    tokens = TokenFile(Path(settings.tokens)) if settings.tokens else None
    doors = Doors(tokens, settings.operators, ProviderTokens(settings.oidc) if settings.oidc else None)
    audit = Audit(Path(settings.audit) if settings.audit else None)
    return Web(settings, gateway, doors, audit, tracer(settings.traces)).app()


async def serve_here(
    settings: ServeSettings,
    ready: Callable[[str], None],
) -> None:
    """Serves until the process is asked to end.

    Args:
        settings: of the operator.
        ready: called with the address once it answers.

    Raises:
        InvalidInput: when the port, a file of the settings, or a server that they name, cannot be used.
    """
    pools: dict[str, EnginePool] = {engine.name: local_pool(engine) for engine in settings.engines}
    await listen(gateway_app(settings, pools), settings, ready)
