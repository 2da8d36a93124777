"""Turn an event's payload into the values of a row: typed, checked, and as PostgreSQL's own text. Pure.

Both ways into the table, COPY and arrays, take text, so each value is formed once. A value that PostgreSQL would reject
is rejected here if the error can name the payload's field. PostgreSQL itself finds the rest.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec

from kompensa_cdc.replicas.spec import Column, ColumnType
from kompensa_consumer import Event, PoisonError

Row = tuple[str | None, ...]

_UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_WHOLE = re.compile(r"[+-]?[0-9]+")
_WHOLE_TYPES = frozenset({"smallint", "integer", "bigint"})
_NUMERIC = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,4})?", re.ASCII)
_JSON = msgspec.json.Encoder(decimal_format="number")


def row_of(event: Event, columns: tuple[Column, ...], *, required: frozenset[str]) -> Row:
    """Return the values of `columns` for an event that carries state.

    Parameters
    ----------
    required
        Names of the columns that may not be NULL in the target.

    Raises
    ------
    PoisonError
        If a value does not fit. The text names the field, the expected type and the type that came, never the value.
    """
    payload = event.payload or {}
    return tuple(_value(payload, column, required) for column in columns)


def canonical(key: str, key_type: str) -> str:
    """Return the key as PostgreSQL prints it, since the bookkeeping compares keys as text.

    A key that does not fit the key column's type is returned as it is.
    """
    if key_type == "uuid" and _UUID.fullmatch(key):
        return key.lower()
    if key_type in _WHOLE_TYPES and _WHOLE.fullmatch(key):
        return str(int(key))
    return key.rstrip(" ") if key_type == "bpchar" else key


def check_key(key: str, key_type: str) -> None:
    """Check that the record's key fits a key column of type uuid, or of whole numbers.

    Raises
    ------
    PoisonError
        If it does not.
    """
    if key_type == "uuid" and not _UUID.fullmatch(key):
        raise PoisonError("the record's key is not a uuid, as the key column is")
    if key_type in _WHOLE_TYPES and not _WHOLE.fullmatch(key):
        raise PoisonError("the record's key is not a whole number, as the key column is")


def _value(payload: Mapping[str, Any], column: Column, required: frozenset[str]) -> str | None:
    value = payload.get(column.field)
    if value is None:
        if column.default is None and column.name in required:
            raise PoisonError(f"field {column.field} is absent or null: column {column.name} may not be NULL")
        return column.default
    text = _FORMS[column.type](value)
    if text is None:
        kind = type(value).__name__
        raise PoisonError(
            f"field {column.field} is a {kind} and not a {column.type.value}, as column {column.name} needs"
        )
    if "\0" in text:
        raise PoisonError(f"field {column.field} holds a NUL character, which PostgreSQL cannot store")
    return text


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _jsonb(value: object) -> str | None:
    return _JSON.encode(value).decode()


def _uuid(value: object) -> str | None:
    return value.lower() if isinstance(value, str) and _UUID.fullmatch(value) else None


def _numeric(value: object) -> str | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | Decimal):
        return str(value)
    return value if isinstance(value, str) and _NUMERIC.fullmatch(value) else None


def _timestamptz(value: object) -> str | None:
    """Convert to UTC, since a column without a zone (timestamp, date) ignores the offset."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        return (moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()
    except (ValueError, OverflowError):
        return None


_FORMS: Mapping[ColumnType, Callable[[object], str | None]] = {
    ColumnType.TEXT: _text,
    ColumnType.JSONB: _jsonb,
    ColumnType.UUID: _uuid,
    ColumnType.NUMERIC: _numeric,
    ColumnType.TIMESTAMPTZ: _timestamptz,
}
