"""From a record to an arrival: the event that its handler gets, or the reason why it can never have one. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import NAMESPACE_URL, UUID, uuid5

from kompensa_common.tracing import TRACEPARENT
from kompensa_consumer import Event, Headers, Poison, Record, decode, poisoned
from kompensa_participant.reactions.declaration import Reaction, Reactions
from kompensa_participant.reactions.event import ReceivedEvent

Place = tuple[str, int, int]


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """A record that was read.

    Attributes
    ----------
    id
        The event's id. A record without one gets an id that its place in the topic decides.
    event
        The event; None if it cannot be handled, and then `fault` says why.
    headers, value
        The record's content, to be kept if the event is put aside.
    """

    place: Place
    id: UUID
    key: str
    type: str
    ordered: bool
    reaction: Reaction | None
    event: ReceivedEvent | None
    fault: str | None
    headers: Headers
    value: str | None


def arrival_of(record: Record, reactions: Reactions) -> Arrival:
    """Prepare one record. Raises nothing: whatever is wrong with a record becomes its fault."""
    decoded = decode(record)
    reaction = reactions.of(decoded.topic)
    given = _uuid(decoded.headers.get("id"))
    fault = _fault(decoded, reaction, given)
    event_id = given or uuid5(NAMESPACE_URL, "/".join(map(str, decoded.place)))
    kept = decoded if isinstance(decoded, Poison) else poisoned(decoded, fault or "")
    return Arrival(
        place=decoded.place,
        id=event_id,
        key=decoded.key,
        type=(decoded.headers.get("event-type") or "") if isinstance(decoded, Poison) else decoded.type,
        ordered=reaction is None or reaction.ordered,
        reaction=reaction,
        event=_received(decoded, event_id) if isinstance(decoded, Event) and fault is None else None,
        fault=fault,
        headers=kept.headers,
        value=kept.value,
    )


def _fault(decoded: Event | Poison, reaction: Reaction | None, event_id: UUID | None) -> str | None:
    if isinstance(decoded, Poison):
        return decoded.error
    if reaction is None:
        return f"this version of the service has no reaction to topic {decoded.topic}: add one, or discard the event"
    if event_id is None:
        return "header id is missing or not a UUID: the outbox's connector sends it with every event"
    if not reaction.reads(decoded.version):
        return (
            f"version {decoded.version} of event {decoded.type} is unknown: this service reads {reaction.major}.x;"
            " deploy one that reads it, then retry the event"
        )
    return None


def _received(event: Event, event_id: UUID) -> ReceivedEvent:
    trace = event.headers.get("traceparent") or ""
    return ReceivedEvent(
        id=event_id,
        topic=event.topic,
        key=event.key,
        type=event.type,
        version=event.version,
        aggregate_version=event.aggregate_version,
        payload=event.payload or {},
        occurred_at=event.occurred_at,
        saga_id=_uuid(event.headers.get("saga-id")),
        traceparent=trace if TRACEPARENT.fullmatch(trace) else None,
    )


def _uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        return None
