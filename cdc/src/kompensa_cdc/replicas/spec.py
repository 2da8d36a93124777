"""What a Replica says: where its events come from, which columns they fill, what a deletion does.

Parsed once from the `Replica` object into frozen data. Identifiers are checked here and quoted in statements.py; what
is wrong is told with its path, all at once for the reader of `kubectl get replica`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from kompensa_common.durations import seconds

Choice = TypeVar("Choice", bound=StrEnum)

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_$]{0,62}")


class InvalidReplicaError(ValueError):
    """A Replica that cannot be run; the text gives the path of the field and what was expected."""


class ColumnType(StrEnum):
    TEXT = "text"
    JSONB = "jsonb"
    UUID = "uuid"
    NUMERIC = "numeric"
    TIMESTAMPTZ = "timestamptz"


class OnDelete(StrEnum):
    """SoftDelete keeps the row, marked and with its personal columns blanked; Delete removes it."""

    SOFT_DELETE = "SoftDelete"
    DELETE = "Delete"


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of the copy, filled from one field of the payload.

    `default` stands in for a field that is absent or null; without it the column becomes NULL.
    """

    name: str
    field: str
    type: ColumnType = ColumnType.TEXT
    default: str | None = None
    personal: bool = False


@dataclass(frozen=True, kw_only=True)
class Target:
    """The table of the copy. Key and version come from the record, everything else from the payload."""

    table: str
    key_column: str
    version_column: str
    synced_at_column: str | None
    deleted_at_column: str | None
    columns: tuple[Column, ...]

    @property
    def schema_name(self) -> str:
        return self.table.split(".", 1)[0]

    @property
    def table_name(self) -> str:
        return self.table.split(".", 1)[1]


@dataclass(frozen=True, kw_only=True)
class ReplicaSpec:
    """One Replica. `replica` is its identity in the target's bookkeeping: `<namespace>/<name>`."""

    replica: str
    topics: tuple[str, ...]
    delete_events: frozenset[str]
    target: Target
    event_schema: Mapping[str, Any] | None
    on_delete: OnDelete
    max_records: int
    max_wait_seconds: float

    @property
    def group(self) -> str:
        """The consumer group: a name that no other replica can have, as a namespace holds no '.'."""
        return "kompensa-replica." + self.replica.replace("/", ".", 1)


def replica_from_object(replica: Mapping[str, Any]) -> ReplicaSpec:
    """Parse a whole `Replica` object (metadata and spec).

    Raises
    ------
    InvalidReplicaError
        Naming the field by its path.
    """
    metadata = _mapping(replica, "metadata")
    spec = _mapping(replica, "spec")
    source = _mapping(spec, "source", "spec.")
    target = _target(_mapping(spec, "target", "spec."))
    batch = spec.get("batch") or {}
    on_delete = _choice(OnDelete, spec.get("onDelete", "SoftDelete"), "spec.onDelete")
    if on_delete is OnDelete.SOFT_DELETE and target.deleted_at_column is None:
        raise InvalidReplicaError("spec.target.deletedAtColumn: is missing; onDelete SoftDelete marks rows in it")
    topics = tuple(str(topic) for topic in source.get("topics") or ())
    if not topics:
        raise InvalidReplicaError("spec.source.topics: is empty; name at least one topic")
    return ReplicaSpec(
        replica=f"{metadata.get('namespace', 'default')}/{_text(metadata, 'name', 'metadata.')}",
        topics=topics,
        delete_events=frozenset(str(event) for event in source.get("deleteEvents") or ()),
        target=target,
        event_schema=spec.get("eventSchema"),
        on_delete=on_delete,
        max_records=_max_records(batch.get("maxRecords", 5000)),
        max_wait_seconds=_duration(batch.get("maxWait", "10ms"), "spec.batch.maxWait"),
    )


def _target(target: Mapping[str, Any]) -> Target:
    where = "spec.target."
    table = _text(target, "table", where)
    schema_name, dot, table_name = table.partition(".")
    if not (dot and _IDENTIFIER.fullmatch(schema_name) and _IDENTIFIER.fullmatch(table_name)):
        raise InvalidReplicaError(f"{where}table: {table!r} is not a table: expected <schema>.<table>")
    parsed = Target(
        table=table,
        key_column=_identifier(target, "keyColumn", where),
        version_column=_identifier(target, "versionColumn", where),
        synced_at_column=_identifier(target, "syncedAtColumn", where) if "syncedAtColumn" in target else None,
        deleted_at_column=_identifier(target, "deletedAtColumn", where) if "deletedAtColumn" in target else None,
        columns=tuple(_column(column, index) for index, column in enumerate(target.get("columns") or ())),
    )
    _refuse_doubles(parsed)
    return parsed


def _column(column: Mapping[str, Any], index: int) -> Column:
    where = f"spec.target.columns[{index}]."
    name = _identifier(column, "name", where)
    default = column.get("default")
    if default is not None and not isinstance(default, str):
        raise InvalidReplicaError(f"{where}default: {default!r} is not text; write it in quotes")
    return Column(
        name=name,
        field=str(column.get("field", name)),
        type=_choice(ColumnType, column.get("type", "text"), f"{where}type"),
        default=default,
        personal=column.get("personal") is True,
    )


def _refuse_doubles(target: Target) -> None:
    special = (target.key_column, target.version_column, target.synced_at_column, target.deleted_at_column)
    names = [name for name in (*special, *(column.name for column in target.columns)) if name is not None]
    for name in names:
        if names.count(name) > 1:
            raise InvalidReplicaError(f"spec.target: column {name} is named twice; each has one source")


def _mapping(parent: Mapping[str, Any], key: str, where: str = "") -> Mapping[str, Any]:
    value = parent.get(key)
    if not isinstance(value, Mapping):
        raise InvalidReplicaError(f"{where}{key}: is missing; expected an object")
    return value


def _text(parent: Mapping[str, Any], key: str, where: str) -> str:
    value = parent.get(key)
    if not isinstance(value, str) or not value:
        raise InvalidReplicaError(f"{where}{key}: is missing; expected text")
    return value


def _identifier(parent: Mapping[str, Any], key: str, where: str) -> str:
    value = _text(parent, key, where)
    if not _IDENTIFIER.fullmatch(value):
        raise InvalidReplicaError(f"{where}{key}: {value!r} is not a column's name")
    return value


def _choice(kind: type[Choice], value: object, where: str) -> Choice:
    try:
        return kind(str(value))
    except ValueError:
        expected = ", ".join(choice.value for choice in kind)
        raise InvalidReplicaError(f"{where}: {value!r} is unknown; expected one of {expected}") from None


def _max_records(value: object) -> int:
    if not isinstance(value, int) or not 1 <= value <= 100_000:
        raise InvalidReplicaError(f"spec.batch.maxRecords: {value!r} is out of range; expected 1 to 100000")
    return value


def _duration(value: object, where: str) -> float:
    try:
        return seconds(str(value))
    except ValueError as error:
        raise InvalidReplicaError(f"{where}: {error}") from None
