import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from coder_model.types import InvalidInput
from shared_server.audit import AuditLine
from shared_server.traces import no_trace, tracer

LINE = AuditLine("2026-01-01T00:00:00.000+00:00", "id", "red", "ann", "/infill", 200, "unmask", tokens=7)


def test_a_request_is_a_span_of_the_trace_that_it_names():
    spans = InMemorySpanExporter()
    trace = tracer("", spans)
    parent = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
    trace(LINE, {"traceparent": parent, "x-session-id": "s3cret"}, 1000, 5000)
    (span,) = spans.get_finished_spans()
    assert (span.name, span.start_time, span.end_time) == ("/infill", 1000, 5000)
    assert f"{span.context.trace_id:032x}" == "a" * 32
    assert span.attributes["unmask.tokens"] == 7
    assert "s3cret" not in str(span.to_json())
    assert "ann" not in str(span.attributes)


def test_without_a_collector_there_are_no_spans():
    assert tracer("") is no_trace


def test_an_address_that_is_none_is_refused():
    with pytest.raises(InvalidInput, match="traces must be the address of a collector"):
        tracer("collector:4318")
