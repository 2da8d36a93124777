"""Sends spans by OTLP over HTTP, with OpenTelemetry's SDK. Its variables (OTEL_EXPORTER_OTLP_*) apply."""

from __future__ import annotations

import os
from threading import Thread

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from kompensa_common.tracing import Kind, Span, TraceContext

CLOSE_SECONDS = 3.0
_KINDS: dict[Kind, SpanKind] = {
    "server": SpanKind.SERVER,
    "client": SpanKind.CLIENT,
    "consumer": SpanKind.CONSUMER,
    "internal": SpanKind.INTERNAL,
}
_SCOPE = InstrumentationScope("kompensa")


class OtlpSpans:
    """See `Spans`."""

    def __init__(self, service: str) -> None:
        name = {} if os.environ.get("OTEL_SERVICE_NAME") else {SERVICE_NAME: service}
        self._resource = Resource.create(name)
        self._processor = BatchSpanProcessor(OTLPSpanExporter())

    def record(self, span: Span) -> None:
        """See `Spans.record`."""
        self._processor.on_end(
            ReadableSpan(
                name=span.name,
                context=_context(span.context),
                parent=_context(span.parent) if span.parent else None,
                resource=self._resource,
                attributes=span.attributes,
                links=[Link(_context(span.link))] if span.link else [],
                kind=_KINDS[span.kind],
                status=Status(StatusCode.ERROR, span.error) if span.error else Status(),
                start_time=int(span.began * 1e9),
                end_time=int(span.ended * 1e9),
                instrumentation_scope=_SCOPE,
            )
        )

    def close(self) -> None:
        """See `Spans.close`. The SDK would wait half a minute for a receiver that is down."""
        closing = Thread(target=self._processor.shutdown, name="close spans", daemon=True)
        closing.start()
        closing.join(CLOSE_SECONDS)


def _context(place: TraceContext) -> SpanContext:
    flags = TraceFlags(TraceFlags.SAMPLED if place.sampled else TraceFlags.DEFAULT)
    return SpanContext(int(place.trace_id, 16), int(place.span_id, 16), is_remote=True, trace_flags=flags)
