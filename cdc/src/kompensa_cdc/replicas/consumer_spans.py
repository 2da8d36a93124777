"""Spans of the events that a batch has brought into a copy, each below the request that published the event."""

from __future__ import annotations

from kompensa_cdc.replicas.applied import Applied
from kompensa_cdc.replicas.changes import Change
from kompensa_common.tracing import Span, Spans, TraceContext
from kompensa_consumer import Batch, Event, Poison


def record_batch(
    spans: Spans,
    batch: Batch[Change | Poison],
    applied: Applied,
    *,
    replica: str,
    table: str,
    began: float,
    ended: float,
) -> None:
    """Record a span for each event with a `traceparent`. All events of a batch are written together.

    Parameters
    ----------
    began, ended
        When the batch was written, in seconds since the epoch.
    """
    parked = {event.place for event in applied.parked}
    for event in (item.event for item in batch.items if isinstance(item, Change)):
        parent = TraceContext.read(event.headers.get("traceparent"))
        if parent is not None:
            error = "parked" if event.place in parked else None
            spans.record(_span(event, parent, error, replica=replica, table=table, began=began, ended=ended))


def _span(
    event: Event, parent: TraceContext, error: str | None, *, replica: str, table: str, began: float, ended: float
) -> Span:
    return Span(
        name=f"{event.topic} to {table}",
        kind="consumer",
        context=TraceContext.below(parent),
        parent=parent,
        began=began,
        ended=ended,
        attributes={
            "messaging.system": "kafka",
            "messaging.destination.name": event.topic,
            "messaging.destination.partition.id": str(event.partition),
            "messaging.kafka.offset": event.offset,
            "kompensa.replica": replica,
        },
        error=error,
    )
