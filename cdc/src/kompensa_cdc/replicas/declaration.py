"""The fields of a `Replica` object as YAML has them: names in camelCase, unknown fields rejected.

Defaults and bounds here and in the CustomResourceDefinition are the same; a test compares them. spec.py checks the
fields against each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum, StrEnum
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from msgspec import Meta, Struct, ValidationError, convert
from msgspec.structs import fields

from kompensa_common.durations import EXAMPLES
from kompensa_common.durations import PATTERN as DURATION

# Python's $ matches before a last newline too; Go's, in the CustomResourceDefinition, does not.
IDENTIFIER = r"^[A-Za-z_][A-Za-z0-9_$]*(?!\n)$"
TABLE = r"^[A-Za-z_][A-Za-z0-9_$]{0,62}\.[A-Za-z_][A-Za-z0-9_$]{0,62}(?!\n)$"
TOPIC = r"^[A-Za-z0-9._-]+(?!\n)$"

Identifier = Annotated[str, Meta(pattern=IDENTIFIER, max_length=63)]
Topic = Annotated[str, Meta(pattern=TOPIC, max_length=249)]

_IN_WORDS = {
    IDENTIFIER: "the name of a column: letters, digits, '_' and '$', for example full_name",
    TABLE: "a table with its schema, for example shipping.customers",
    TOPIC: "a topic: letters, digits, '.', '_' and '-', for example orders.customer-created",
    DURATION: f"a duration, for example {EXAMPLES}",
}
"""An error of msgspec quotes the pattern; a user needs to know what the pattern means."""


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


class _Fields(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    pass


class SourceFields(_Fields, frozen=True, kw_only=True):
    topics: Annotated[list[Topic], Meta(min_length=1, max_length=50)]
    delete_events: Annotated[list[Annotated[str, Meta(max_length=100)]], Meta(max_length=50)] | None = None


class ColumnFields(_Fields, frozen=True, kw_only=True):
    name: Identifier
    field: Annotated[str, Meta(min_length=1, max_length=253)] | None = None
    type: ColumnType = ColumnType.TEXT
    default: Annotated[str, Meta(max_length=4096)] | None = None
    personal: bool = False


class TargetFields(_Fields, frozen=True, kw_only=True):
    """`database_secret_ref` is for the operator, which gives the login to the worker. A file need not have it."""

    database_secret_ref: dict[str, Any] | None = None
    table: Annotated[str, Meta(pattern=TABLE, max_length=127)]
    key_column: Identifier
    version_column: Identifier
    synced_at_column: Identifier | None = None
    deleted_at_column: Identifier | None = None
    columns: Annotated[list[ColumnFields], Meta(max_length=200)] | None = None


class BatchFields(_Fields, frozen=True, kw_only=True):
    max_records: Annotated[int, Meta(ge=1, le=100_000)] = 5000
    max_wait: Annotated[str, Meta(pattern=DURATION, max_length=32)] = "10ms"


class SpecFields(_Fields, frozen=True, kw_only=True):
    source: SourceFields
    target: TargetFields
    event_schema: dict[str, Any] | None = None
    on_delete: OnDelete = OnDelete.SOFT_DELETE
    batch: BatchFields = BatchFields()


class Metadata(Struct, frozen=True, kw_only=True):
    name: Annotated[str, Meta(min_length=1)]
    namespace: str = "default"


class ReplicaObject(Struct, frozen=True, kw_only=True):
    """A whole object. Fields that Kubernetes adds around the spec are skipped."""

    metadata: Metadata
    spec: SpecFields


def faults_of(document: object) -> list[str]:
    """Return what is wrong with the fields of a `Replica`, each with its path; empty if they can be read."""
    try:
        convert(document, ReplicaObject)
    except ValidationError as error:
        # msgspec stops at the first fault. A list can also be too short or too long as a whole.
        return list(_faults(document, ReplicaObject, "")) or [_sentence(error, "")]
    return []


def _faults(value: object, kind: Any, path: str) -> Iterator[str]:
    plain = _plain(kind)
    if isinstance(plain, type) and issubclass(plain, Struct) and isinstance(value, Mapping):
        yield from _faults_of_struct(value, plain, path)
    elif get_origin(plain) is list and isinstance(value, list) and value:
        for index, item in enumerate(value):
            yield from _faults(item, get_args(plain)[0], f"{path}[{index}]")
    elif isinstance(plain, type) and issubclass(plain, Enum):
        if value not in [choice.value for choice in plain]:
            yield f"{path}: {value!r} is unknown; expected one of {', '.join(choice.value for choice in plain)}"
    else:
        try:
            convert(value, kind)
        except ValidationError as error:
            yield _sentence(error, path)


def _faults_of_struct(value: Mapping[str, Any], kind: type[Struct], path: str) -> Iterator[str]:
    prefix = f"{path}." if path else ""
    known = {field.encode_name: field for field in fields(kind)}
    for name, field in known.items():
        if name in value:
            yield from _faults(value[name], field.type, prefix + name)
        elif field.required:
            yield f"{prefix}{name}: is missing"
    if kind.__struct_config__.forbid_unknown_fields:
        for name in value:
            if name not in known:
                yield f"{prefix}{name}: is unknown; expected one of {', '.join(known)}"


def _plain(kind: Any) -> Any:
    """Return a type without `| None` and without the bounds that it is annotated with."""
    if get_origin(kind) in (Union, UnionType):
        kind = next(part for part in get_args(kind) if part is not type(None))
    return kind.__origin__ if hasattr(kind, "__metadata__") else kind


def _sentence(error: ValidationError, path: str) -> str:
    detail, _, inner = str(error).partition(" - at `$")
    where = (path + inner.rstrip("`")).lstrip(".")
    for pattern, meaning in _IN_WORDS.items():
        if repr(pattern) in detail:
            return f"{where}: expected {meaning}"
    return f"{where}: {detail[:1].lower()}{detail[1:].replace('`', '')}"
