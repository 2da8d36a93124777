"""Spans of the events that a service has handled, each below the work that published the event."""

from __future__ import annotations

from kompensa_common.tracing import Span, TraceContext
from kompensa_participant.reactions.arrival import Arrival


def span_of(arrival: Arrival, *, service: str, began: float, ended: float) -> Span | None:
    """The span of an event that was handled; None if it belongs to no trace.

    Parameters
    ----------
    began, ended
        Of the transaction, in seconds since the epoch.
    """
    event = arrival.event
    place = event.consequences if event is not None else None
    if event is None or place is None:
        return None
    topic, partition, offset = arrival.place
    return Span(
        name=f"{topic} handled by {service}",
        kind="consumer",
        context=place,
        parent=TraceContext.read(event.traceparent),
        began=began,
        ended=ended,
        attributes={
            "messaging.system": "kafka",
            "messaging.destination.name": topic,
            "messaging.destination.partition.id": str(partition),
            "messaging.kafka.offset": offset,
        },
    )
