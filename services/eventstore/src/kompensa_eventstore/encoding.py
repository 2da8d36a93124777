"""An event's data as JSON text. Values are exact, and PostgreSQL can store them and readers can read them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from kompensa_eventstore.errors import InvalidEventError

NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
"""The escape of NUL in JSON text. The backslash before the u must not be escaped itself."""


def plain(data: Mapping[str, Any], *, type_: str, limit: int) -> tuple[str, dict[str, Any]]:
    """The data as JSON text, and as a reader sees them: with decimals, UUIDs and times as text.

    Raises
    ------
    InvalidEventError
        If a value has no JSON form (NaN, a naive datetime, NUL in a text), or the text is longer than `limit` bytes.
    """
    try:
        text = json.dumps(dict(data), default=as_json, allow_nan=False, ensure_ascii=False)
        # With spaces, as PostgreSQL prints jsonb: an Outbox counts that text.
        size = len(text.encode())
    except (ValueError, TypeError, RecursionError) as error:
        raise InvalidEventError(f"{type_}: the data have no JSON form: {error}") from error
    if size > limit:
        raise InvalidEventError(f"{type_}: the data are {size} bytes long; at most {limit} can be published")
    if NUL.search(text):
        raise InvalidEventError(f"{type_}: a text holds the character NUL, which PostgreSQL cannot store")
    read: dict[str, Any] = json.loads(text)
    return text, read


def as_json(value: Any) -> str:
    """A value without a JSON form of its own, as text."""
    match value:
        case Decimal() if value.is_finite():
            return format(value, "f")
        case datetime() if value.tzinfo is not None:
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case datetime():
            raise TypeError(f"{value!r} has no time zone")
        case UUID():
            return str(value)
        case date():
            return value.isoformat()
        case Enum():
            return str(value.value)
        case _:
            raise TypeError(f"{value!r} is a {type(value).__name__}")
