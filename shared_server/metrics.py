"""What Prometheus reads: counts, times and states. Labels are of closed sets: tenants, routes, statuses, replicas."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from shared_server.audit import Audit, AuditLine
    from shared_server.gateway import Gateway

SECONDS = (0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.8, 1.2, 2, 3, 5, 10)


class Metrics:
    """The metrics of one gateway."""

    def __init__(self, gateway: Gateway, audit: Audit) -> None:
        registry = self._registry = CollectorRegistry()
        self.requests = Counter(
            "unmask_requests", "Requests by their end", ["tenant", "route", "status"], registry=registry
        )
        self.seconds = Histogram(
            "unmask_request_seconds",
            "From head to end of an answered request",
            ["route"],
            buckets=SECONDS,
            registry=registry,
        )
        self.waited = Histogram(
            "unmask_waited_seconds", "Until it was a request's turn", buckets=SECONDS, registry=registry
        )
        self.levels = Counter("unmask_level", "Answers by the level they were made at", ["level"], registry=registry)
        self.retries = Counter("unmask_retries", "Requests that took a second replica", registry=registry)
        self.tokens = Counter("unmask_tokens", "Tokens of answers", ["engine"], registry=registry)
        self.passes = Counter("unmask_passes", "Passes of a model for answers", ["engine"], registry=registry)
        registry.register(_States(gateway, audit))

    def note(self, line: AuditLine) -> None:
        """Counts a request that is over."""
        self.requests.labels(line.tenant, line.route, str(line.status)).inc()
        if line.status != HTTPStatus.OK:
            return
        self.seconds.labels(line.route).observe(line.ms / 1000)
        self.waited.observe(line.waited_ms / 1000)
        self.levels.labels(str(line.level)).inc()
        self.retries.inc(max(0, line.tries - 1))
        self.tokens.labels(line.engine).inc(line.tokens)
        self.passes.labels(line.engine).inc(line.passes)

    def text(self) -> bytes:
        """Returns all metrics in Prometheus' text format."""
        return generate_latest(self._registry)


class _States(Collector):
    """What is read when it is asked for."""

    def __init__(self, gateway: Gateway, audit: Audit) -> None:
        self._gateway, self._audit = gateway, audit

    def collect(self) -> Iterable[Metric]:
        engines = self._gateway.engines
        yield _gauge(
            "unmask_waiting", "Requests that wait", {name: one.admission.waiting for name, one in engines.items()}
        )
        yield _gauge(
            "unmask_running", "Requests that run", {name: one.admission.running for name, one in engines.items()}
        )
        yield _gauge("unmask_slots", "Requests that may run", {name: one.pool.slots for name, one in engines.items()})
        yield _gauge(
            "unmask_present_level", "Level of the next request", {n: one.admission.level for n, one in engines.items()}
        )
        states = GaugeMetricFamily("unmask_replica_ready", "Whether a replica answers", labels=["engine", "replica"])
        for name, one in engines.items():
            for replica, state in one.pool.states.items():
                states.add_metric([name, replica], float(state == "ready"))
        yield states
        yield GaugeMetricFamily("unmask_audit_lines_lost", "Lines that no disk took", value=float(self._audit.lost))


def _gauge(name: str, help_: str, values: Mapping[str, int]) -> Metric:
    family = GaugeMetricFamily(name, help_, labels=["engine"])
    for engine, value in values.items():
        family.add_metric([engine], float(value))
    return family
