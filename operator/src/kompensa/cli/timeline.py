"""The timeline of one saga, from the engine's history and from the events in Kafka's topics. Pure.

An event names in its `traceparent` what caused it. For a call of the engine that place follows from the saga, the step
and the attempt (see `kompensa.transport.traces`); for an event that another event caused, from that event's id. So the
cause of an entry is found by comparison, without a service that collects spans. Services that send spans by OTLP put
their own places there. Then an event's cause is not known here, and it is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

from kompensa.model.outcomes import Direction
from kompensa.transport.traces import attempt_context
from kompensa_cdc.watch import WatchedRecord
from kompensa_common.tracing import TraceContext, context_of_event

View = Mapping[str, Any]
ENGINE = "engine"
_NO_TIME = datetime.fromtimestamp(0, UTC)


class Record(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """An event's place in Kafka, and the milliseconds from the commit in its service to its arrival there."""

    id: str | None
    topic: str
    partition: int
    offset: int
    key: str | None
    aggregate_version: str | None
    delay_ms: int


class Entry(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One line: something that the engine wrote to its journal, or an event that a service published.

    Attributes
    ----------
    time
        RFC 3339, in UTC. Each entry has the time of its own host.
    service
        `engine`, or the first part of the topic's name.
    event
        The kind of the journal's line, or the event's type.
    caused_by
        The call, for example `process-payment action 1`, or the event that caused this one.
    """

    time: str
    service: str
    event: str
    step: str | None = None
    attempt: int | None = None
    caused_by: str | None = None
    detail: str | None = None
    record: Record | None = None


class Timeline(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A saga and its entries, oldest first. A saga that no engine coordinates has neither definition nor phase."""

    saga: str
    namespace: str | None = None
    name: str | None = None
    definition: str | None = None
    phase: str | None = None
    entries: list[Entry]


def timeline(saga_id: str, view: View | None, history: Sequence[View], records: Sequence[WatchedRecord]) -> Timeline:
    """Join both sources in the order of time.

    Parameters
    ----------
    view, history
        The saga as the engine's API shows it; None and nothing if services placed it by events.
    records
        Events with the saga's id, one or more times each. Only the first copy of an event is kept.
    """
    causes = {**_calls(saga_id, view or {}), **_events(records)}
    timed = [*_of_journal(history), *_of_topics(records, causes)]
    known = {name: view[name] for name in ("namespace", "name", "definition", "phase") if view and view.get(name)}
    return Timeline(saga=saga_id, entries=[entry for _, entry in sorted(timed, key=lambda each: each[0])], **known)


def _of_journal(history: Sequence[View]) -> Iterator[tuple[datetime, Entry]]:
    for line in history:
        moment = datetime.fromisoformat(line["at"])
        yield (
            moment,
            Entry(
                time=_rfc3339(moment),
                service=ENGINE,
                event=line["event"],
                step=line.get("step") or None,
                attempt=line.get("attempt") or None,
                detail=": ".join(str(line[part]) for part in ("reason", "message") if line.get(part)) or None,
            ),
        )


def _of_topics(records: Sequence[WatchedRecord], causes: Mapping[str, str]) -> Iterator[tuple[datetime, Entry]]:
    seen: set[str | None] = set()
    for record in records:
        event_id = record.headers.get("id")
        if event_id is None or event_id not in seen:
            yield _of_record(record, causes)
        seen.add(event_id)


def _of_record(record: WatchedRecord, causes: Mapping[str, str]) -> tuple[datetime, Entry]:
    arrived = record.time or _NO_TIME
    written = _written(record.headers.get("occurred-at")) or arrived
    place = TraceContext.read(record.headers.get("traceparent"))
    cause = causes.get(place.span_id) if place else None
    entry = Entry(
        time=_rfc3339(written),
        service=record.topic.partition(".")[0],
        event=_type_of(record),
        caused_by=cause or None,
        record=Record(
            id=record.headers.get("id"),
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            key=record.key,
            aggregate_version=record.headers.get("aggregate-version"),
            delay_ms=round((arrived - written).total_seconds() * 1000),
        ),
    )
    return written, entry


def _calls(saga_id: str, view: View) -> dict[str, str]:
    """The name of each call, by the span that its `traceparent` names."""
    found: dict[str, str] = {}
    for step in view.get("steps") or ():
        attempts = {
            Direction.ACTION: step.get("attempts") or 0,
            Direction.COMPENSATION: (step.get("compensation") or {}).get("attempts") or 0,
        }
        for direction, count in attempts.items():
            for attempt in range(1, count + 1):
                place = attempt_context(saga_id, f"{saga_id}/{step['name']}/{direction}", attempt)
                found[place.span_id] = f"{step['name']} {direction} {attempt}"
    return found


def _events(records: Sequence[WatchedRecord]) -> dict[str, str]:
    """The type of each event, by the span that events which it caused name."""
    return {
        context_of_event("0" * 32, event_id).span_id: _type_of(record)
        for record in records
        if (event_id := record.headers.get("id"))
    }


def _type_of(record: WatchedRecord) -> str:
    return record.headers.get("event-type") or record.topic.partition(".")[2] or record.topic


def _written(occurred_at: str | None) -> datetime | None:
    """The time of the commit; None if the header is missing, or is not a time with a zone."""
    try:
        moment = datetime.fromisoformat(occurred_at or "")
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
