"""The columns of an outbox by their meaning, and the column whose value is the end of a row's topic.

An outbox and an event table hold the same things. An event table is the state of its service: rows are never deleted,
and its readers want all events of one kind of aggregate in one topic (S58).
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum

TEXT = ("text", "character varying")
_IDENTIFIER = ("uuid", *TEXT)


class Route(StrEnum):
    """The way to a row's topic: a topic for each event type, or one topic for all events of an aggregate type."""

    BY_EVENT_TYPE = "ByEventType"
    BY_AGGREGATE_TYPE = "ByAggregateType"


@dataclass(frozen=True, kw_only=True)
class Columns:
    """The name of the column for each meaning. The defaults are those of the participant kit and the event store."""

    id: str = "id"
    aggregate_type: str = "aggregate_type"
    aggregate_id: str = "aggregate_id"
    aggregate_version: str = "aggregate_version"
    event_type: str = "event_type"
    event_version: str = "event_version"
    payload: str = "payload"
    traceparent: str = "traceparent"
    saga_id: str = "saga_id"
    occurred_at: str = "occurred_at"
    correlation_id: str = "correlation_id"
    causation_id: str = "causation_id"

    def name(self, meaning: str) -> str:
        """The column with this meaning, for example `aggregate_id`."""
        return str(getattr(self, meaning))

    def quoted(self, meaning: str) -> str:
        """The same for a statement.

        A default name is not quoted: a publication's filter is compared as text with the filter that we would set, and
        an upgrade must not make them differ.
        """
        name = self.name(meaning)
        return name if name == DEFAULTS.name(meaning) else f'"{name}"'


DEFAULTS = Columns()
MEANINGS = tuple(each.name for each in fields(Columns))

# The columns that every outbox has, by meaning, with the types that consumers can take.
REQUIRED: Mapping[str, tuple[str, ...]] = {
    "id": _IDENTIFIER,
    "aggregate_id": _IDENTIFIER,
    "aggregate_version": ("bigint", "integer"),
    "event_type": TEXT,
    "event_version": TEXT,
    "payload": ("jsonb", "json", "text"),
    "traceparent": TEXT,
    "saga_id": _IDENTIFIER,
    "occurred_at": ("timestamp with time zone",),
}
# Required if the aggregate's type decides the topic.
AGGREGATE_TYPE = {"aggregate_type": TEXT}
# Headers if the table has them.
OPTIONAL: Mapping[str, tuple[str, ...]] = {"correlation_id": _IDENTIFIER, "causation_id": _IDENTIFIER}
MAY_BE_NULL = ("payload", "traceparent", "saga_id", *OPTIONAL)


def required_columns(route: Route) -> Mapping[str, tuple[str, ...]]:
    """The meanings for which a table must have a column, each with the types that it may have."""
    return {**REQUIRED, **AGGREGATE_TYPE} if route is Route.BY_AGGREGATE_TYPE else REQUIRED
