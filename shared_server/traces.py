"""Spans of requests for an OpenTelemetry collector: the same facts as in `audit.py`, never a text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from coder_model.types import InvalidInput

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

    from shared_server.audit import AuditLine

Trace = Callable[["AuditLine", Mapping[str, str], int, int], None]
"""(facts, headers of the request, nanoseconds of the wall clock at its begin and at its end)."""
SPANNED = ("request", "tenant", "route", "status", "engine", "model", "priority", "level", "tries", "tokens", "passes")
"""Facts that a span has: who asked is left to the audit."""


def no_trace(facts: AuditLine, headers: Mapping[str, str], began: int, ended: int) -> None:
    """Does nothing."""


def tracer(address: str, exporter: SpanExporter | None = None) -> Trace:
    """Returns what makes a span of a request, in the trace that the request's `traceparent` names.

    Args:
        address: of a collector, OTLP over HTTP; empty: no spans.
        exporter: takes the spans instead of the collector.

    Raises:
        InvalidInput: when the address is none.
    """
    if not address and exporter is None:
        return no_trace
    if address and not address.startswith(("http://", "https://")):
        raise InvalidInput(f"traces must be the address of a collector (http:// or https://), got {address!r}")
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
    from opentelemetry.trace import SpanKind
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    provider = TracerProvider(resource=Resource.create({"service.name": "unmask"}), shutdown_on_exit=True)
    provider.add_span_processor(
        SimpleSpanProcessor(exporter) if exporter else BatchSpanProcessor(OTLPSpanExporter(endpoint=address))
    )
    made, propagator = provider.get_tracer("unmask"), TraceContextTextMapPropagator()

    def trace(facts: AuditLine, headers: Mapping[str, str], began: int, ended: int) -> None:
        span = made.start_span(
            facts.route,
            propagator.extract(headers),
            SpanKind.SERVER,
            {f"unmask.{name}": getattr(facts, name) for name in SPANNED},
            start_time=began,
        )
        span.end(ended)

    return trace
