"""`unmask serve --engine ray`: the gateway and the engines as deployments of Ray Serve, which keeps them alive.

Ray routes, restarts, scales and drains. Imports it only where it is used.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from coder_model.types import InvalidInput
from shared_server.pool import EnginePool
from shared_server.ray_engine import APPLICATION, EngineReplica, RayPool, max_ongoing
from shared_server.settings import EngineSettings, ServeSettings, read_settings

if TYPE_CHECKING:
    from ray.serve import Application
    from starlette.applications import Starlette

ROUTER = "ray.serve.experimental.consistent_hash_router:ConsistentHashRouter"
HEALTH_PERIOD_S, HEALTH_TIMEOUT_S = 1.0, 3.0
"""A replica that does not say that it is well for so long is ended and started again."""
DRAIN_S = 10.0
"""Seconds that running requests have when a replica is to end."""


def application(settings: ServeSettings) -> Application:
    """Returns the whole server as an application of Ray Serve: gateways, and a deployment for each engine."""
    from ray import serve

    def gateway() -> Starlette:
        # in the gateway's own process
        from shared_server.local import gateway_app

        handles = {one.name: serve.get_deployment_handle(one.name, APPLICATION) for one in settings.engines}
        pools: dict[str, EnginePool] = {
            one.name: RayPool(handles[one.name], one, settings.gateways) for one in settings.engines
        }
        return gateway_app(settings, pools)

    door = serve.deployment(
        serve.ingress(gateway)(_Door),
        name="gateway",
        num_replicas=settings.gateways,
        max_ongoing_requests=settings.limits.connections,
        graceful_shutdown_timeout_s=DRAIN_S,
        ray_actor_options={"num_cpus": 0},
    )
    return door.bind(*(_deployment(engine) for engine in settings.engines))


class _Door:
    """What the gateway's application is wrapped in: it makes the engines a part of the whole."""

    def __init__(self, *engines: object) -> None:
        pass


def _deployment(engine: EngineSettings) -> Application:
    from ray import serve
    from ray.serve.config import AutoscalingConfig, RequestRouterConfig

    most = max_ongoing(engine)
    count: dict[str, Any] = {"num_replicas": engine.replicas}
    if engine.most_replicas > engine.replicas:
        scaling = AutoscalingConfig(
            min_replicas=engine.replicas, max_replicas=engine.most_replicas, target_ongoing_requests=max(1, most // 2)
        )
        count = {"autoscaling_config": scaling}
    deployment = serve.deployment(
        EngineReplica,
        name=engine.name,
        # one more than it works at: the newest of a session must reach a replica to take the place of the one before
        max_ongoing_requests=most + 1,
        health_check_period_s=HEALTH_PERIOD_S,
        health_check_timeout_s=HEALTH_TIMEOUT_S,
        graceful_shutdown_wait_loop_s=0.2,
        graceful_shutdown_timeout_s=DRAIN_S,
        ray_actor_options={"num_cpus": engine.cpus, "num_gpus": engine.gpus},
        request_router_config=RequestRouterConfig(request_router_class=ROUTER),
        **count,
    )
    return deployment.bind(msgspec.json.encode(engine))


def from_file(arguments: dict[str, str]) -> Application:
    """Returns the application of a file of settings, for `import_path` of a KubeRay service: `args: {config: FILE}`."""
    return application(read_settings(Path(arguments["config"])))


def serve_on_ray(settings: ServeSettings, ready: Callable[[str], None]) -> None:
    """Serves until the process is asked to end, on the cluster that $RAY_ADDRESS names, else on one of its own here.

    Args:
        settings: of the operator.
        ready: called with the address once all engines are loaded.

    Raises:
        InvalidInput: when the settings ask for what Ray does not do, or an engine cannot be loaded.
    """
    # set before Ray is imported: no reports to its makers, and nobody without its token may use the cluster
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    if any(engine.canary for engine in settings.engines):
        raise InvalidInput("canary must be absent under Ray, which has deployments for it")
    if settings.port == 0:
        raise InvalidInput("port must be a number of its own under Ray, got 0")
    import ray
    from ray import serve

    ended = threading.Event()
    ray.init(include_dashboard=False, log_to_driver=False, namespace=APPLICATION)
    try:
        serve.start(
            http_options={
                "host": settings.host,
                "port": settings.port,
                "ssl_certfile": settings.certificate or None,
                "ssl_keyfile": settings.key or None,
            }
        )
        try:
            serve.run(application(settings), name=APPLICATION)
        except RuntimeError as error:
            raise InvalidInput(f"every engine must be one that can be loaded: {error}") from error
        scheme = "https" if settings.certificate else "http"
        # Ray has handlers of its own by now, which end the process on the spot
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: ended.set())
        ready(f"{scheme}://{settings.host}:{settings.port}")
        ended.wait()
    finally:
        serve.shutdown()
        ray.shutdown()
