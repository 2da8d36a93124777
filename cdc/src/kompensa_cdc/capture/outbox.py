"""The outbox table to publish, and the logins that read it.

Plain frozen data, parsed once from the `Outbox` object and its Secrets, so that nothing below knows Kubernetes.
Passwords live in these objects only and are kept out of every `repr`.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kompensa_cdc.capture.columns import DEFAULTS, MEANINGS, Columns, Route
from kompensa_cdc.capture.naming import connector_name, replication_name
from kompensa_common.durations import seconds

_TABLE = re.compile(r"[a-z_][a-z0-9_]{0,62}\.[a-z_][a-z0-9_]{0,62}")
_COLUMN = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_TOPIC_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


# The participant kit refuses larger events; a test compares the two.
MAX_EVENT_BYTES = 1_048_576
LARGEST_EVENT_BYTES = 16_777_216
# For the rest of a record, beyond the texts that are counted: names of headers, framing.
RECORD_HEADROOM_BYTES = 65_536


class InvalidOutboxError(ValueError):
    """An Outbox or its Secret that says something we cannot act on; the text names the field and what it should be."""


@dataclass(frozen=True, kw_only=True)
class Outbox:
    """One outbox table and the topics its events go to.

    Attributes
    ----------
    types
        The types of events for which topics are made; or the types of aggregates, if the route is theirs.
    """

    namespace: str
    name: str
    table: str
    topic_prefix: str
    types: tuple[str, ...]
    route: Route = Route.BY_EVENT_TYPE
    columns: Columns = DEFAULTS
    partitions: int = 6
    retention_seconds: float = 168 * 3600.0
    max_event_bytes: int = MAX_EVENT_BYTES

    @property
    def schema_name(self) -> str:
        return self.table.split(".", 1)[0]

    @property
    def table_name(self) -> str:
        return self.table.split(".", 1)[1]

    @property
    def connector(self) -> str:
        return connector_name(self.namespace, self.name)

    @property
    def slot(self) -> str:
        return replication_name(self.namespace, self.name)

    @property
    def publication(self) -> str:
        return replication_name(self.namespace, self.name)

    @property
    def topics(self) -> tuple[str, ...]:
        return tuple(f"{self.topic_prefix}.{type_}" for type_ in self.types)

    @property
    def route_meaning(self) -> str:
        """The meaning of the column whose value is the end of a row's topic."""
        return "aggregate_type" if self.route is Route.BY_AGGREGATE_TYPE else "event_type"

    @property
    def topic_settings(self) -> dict[str, str]:
        """The settings of each topic, made by the operator or by Connect."""
        return {
            "cleanup.policy": "delete",
            "retention.ms": str(int(self.retention_seconds * 1000)),
            "max.message.bytes": str(self.max_record_bytes),
        }

    @property
    def max_record_bytes(self) -> int:
        """How large a record of Kafka may be, for the producer and for the topics."""
        return self.max_event_bytes + RECORD_HEADROOM_BYTES


@dataclass(frozen=True, kw_only=True)
class Database:
    """The address of a PostgreSQL database, and the login for it."""

    host: str
    port: int
    database: str
    username: str
    password: str = field(repr=False)
    sslmode: str = "prefer"

    @property
    def address(self) -> str:
        """The part that may be shown to people."""
        return f"{self.username}@{self.host}:{self.port}/{self.database}"


@dataclass(frozen=True)
class Inline:
    """The connector's configuration carries user and password itself: for local processes only."""


@dataclass(frozen=True, kw_only=True)
class Directory:
    """The connector's configuration names files that are mounted into Connect; the password never leaves its Secret.

    `key` is the stem of two files in `path`: `<key>.username` and `<key>.password`.
    """

    path: str
    key: str


Credentials = Inline | Directory


def outbox_from_object(namespace: str, name: str, spec: Mapping[str, Any]) -> Outbox:
    """Parse the spec of an `Outbox` object.

    Raises
    ------
    InvalidOutboxError
        Naming the field and the expected value.
    """
    table = str(spec.get("table", ""))
    if not _TABLE.fullmatch(table):
        raise InvalidOutboxError(f"spec.table: {table!r} is not a table: expected <schema>.<table> in lower case")
    prefix = str(spec.get("topicPrefix", ""))
    route, types_field, types = _route(spec)
    for where, part in (("spec.topicPrefix", prefix), *((types_field, type_) for type_ in types)):
        if not _TOPIC_PART.fullmatch(part):
            raise InvalidOutboxError(
                f"{where}: {part!r} cannot be part of a topic's name: use letters, digits, '.', '_', '-'"
            )
    try:
        retention = seconds(str(spec.get("retention", "168h")))
    except ValueError as error:
        raise InvalidOutboxError(f"spec.retention: {error}") from None
    return Outbox(
        namespace=namespace,
        name=name,
        table=table,
        topic_prefix=prefix,
        types=types,
        route=route,
        columns=_columns(spec),
        partitions=_whole_number(spec, "partitions", default=6, least=1, most=1000),
        retention_seconds=retention,
        max_event_bytes=_whole_number(
            spec, "maxEventBytes", default=MAX_EVENT_BYTES, least=1024, most=LARGEST_EVENT_BYTES
        ),
    )


def _route(spec: Mapping[str, Any]) -> tuple[Route, str, tuple[str, ...]]:
    """The route, the field that lists its types, and those types."""
    name = str(spec.get("route", Route.BY_EVENT_TYPE))
    try:
        route = Route(name)
    except ValueError:
        raise InvalidOutboxError(f"spec.route: {name!r} is unknown: expected {' or '.join(Route)}") from None
    fields = {Route.BY_EVENT_TYPE: "events", Route.BY_AGGREGATE_TYPE: "aggregateTypes"}
    own = fields.pop(route)
    if (other := next(iter(fields.values()))) in spec:
        raise InvalidOutboxError(f"spec.{other}: the route {route} takes spec.{own} instead")
    types = tuple(str(type_) for type_ in spec.get(own, ()))
    if not types:
        raise InvalidOutboxError(f"spec.{own}: the route {route} needs at least one, for its topic")
    return route, f"spec.{own}", types


def _columns(spec: Mapping[str, Any]) -> Columns:
    by_field = {re.sub(r"_(.)", lambda found: found[1].upper(), meaning): meaning for meaning in MEANINGS}
    given = spec.get("columns", {})
    for field_name, name in given.items():
        if field_name not in by_field:
            raise InvalidOutboxError(f"spec.columns.{field_name}: unknown; expected {', '.join(by_field)}")
        if not _COLUMN.fullmatch(str(name)):
            raise InvalidOutboxError(f"spec.columns.{field_name}: {name!r} is not the name of a column in lower case")
    columns = Columns(**{by_field[field_name]: str(name) for field_name, name in given.items()})
    name, uses = Counter(columns.name(meaning) for meaning in MEANINGS).most_common(1)[0]
    if uses > 1:
        raise InvalidOutboxError(f"spec.columns: column {name} has {uses} meanings: give each meaning its own column")
    return columns


def _whole_number(spec: Mapping[str, Any], field_name: str, *, default: int, least: int, most: int) -> int:
    number = spec.get(field_name, default)
    if not isinstance(number, int) or not least <= number <= most:
        raise InvalidOutboxError(
            f"spec.{field_name}: {number!r} is out of range: expected a whole number from {least} to {most}"
        )
    return number
