"""A Replica's declaration: the topics of its events, the columns that they fill, and the effect of a deletion.

It is read once from the `Replica` object, into frozen data. All faults of an object are reported at once, each with its
path. Identifiers are checked here and quoted in statements.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from kompensa_cdc.replicas.declaration import (
    ColumnFields,
    ColumnType,
    OnDelete,
    ReplicaObject,
    SpecFields,
    TargetFields,
    faults_of,
)
from kompensa_common.durations import seconds

__all__ = [
    "Column",
    "ColumnType",
    "InvalidReplicaError",
    "OnDelete",
    "ReplicaSpec",
    "Target",
    "replica_from_object",
]


class InvalidReplicaError(ValueError):
    """A Replica that cannot run. The text names every fault: the path of the field, and the expected value."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of the copy, filled from one field of the payload.

    `default` replaces a field that is absent or null; without a default, the column becomes NULL.
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
    """One Replica. `replica` is its name in the target's bookkeeping: `<namespace>/<name>`."""

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
        """The consumer group. No other replica can have the same one, as a namespace never contains a '.'."""
        return "kompensa-replica." + self.replica.replace("/", ".", 1)


def replica_from_object(replica: Mapping[str, Any]) -> ReplicaSpec:
    """Read a whole `Replica` object (metadata and spec).

    Raises
    ------
    InvalidReplicaError
        With every fault, separated by "; ".
    """
    if faults := faults_of(replica):
        raise InvalidReplicaError("; ".join(faults))
    read = msgspec.convert(replica, ReplicaObject)
    if faults := list(_contradictions(read.spec)):
        raise InvalidReplicaError("; ".join(faults))
    return ReplicaSpec(
        replica=f"{read.metadata.namespace}/{read.metadata.name}",
        topics=tuple(read.spec.source.topics),
        delete_events=frozenset(read.spec.source.delete_events or ()),
        target=_target(read.spec.target),
        event_schema=read.spec.event_schema,
        on_delete=read.spec.on_delete,
        max_records=read.spec.batch.max_records,
        max_wait_seconds=seconds(read.spec.batch.max_wait),
    )


def _target(target: TargetFields) -> Target:
    return Target(
        table=target.table,
        key_column=target.key_column,
        version_column=target.version_column,
        synced_at_column=target.synced_at_column,
        deleted_at_column=target.deleted_at_column,
        columns=tuple(_column(column) for column in target.columns or ()),
    )


def _column(column: ColumnFields) -> Column:
    return Column(
        name=column.name,
        field=column.field or column.name,
        type=column.type,
        default=column.default,
        personal=column.personal,
    )


def _contradictions(spec: SpecFields) -> Iterator[str]:
    """Find fields that are right by themselves and contradict each other."""
    target = spec.target
    if spec.on_delete is OnDelete.SOFT_DELETE and target.deleted_at_column is None:
        yield "spec.target.deletedAtColumn: is missing; onDelete SoftDelete marks rows in it"
    special = (target.key_column, target.version_column, target.synced_at_column, target.deleted_at_column)
    taken = {name for name in special if name is not None}
    if len(taken) < sum(name is not None for name in special):
        yield "spec.target: keyColumn, versionColumn, syncedAtColumn and deletedAtColumn must be different columns"
    for index, column in enumerate(target.columns or ()):
        if column.name in taken:
            yield f"spec.target.columns[{index}].name: column {column.name} is named twice; each has one source"
        taken.add(column.name)
