"""JSON Schema (2020-12) of an event's payload, checked by jsonschema-rs. A payload that does not fit is poison."""

from collections.abc import Callable, Mapping
from typing import Any

import jsonschema_rs

from kompensa_consumer import Event, PoisonError

Check = Callable[[Event], None]


class InvalidSchemaError(ValueError):
    """The schema itself is wrong."""


def payload_check(schema: Mapping[str, Any] | None) -> Check:
    """Return a function that raises PoisonError if an event's payload does not fit `schema`.

    Formats (uuid, email, date-time) are checked too. Without a schema every payload fits. Messages never quote the
    value: they are shown in an object's status, and the value may be personal.

    Raises
    ------
    InvalidSchemaError
        If `schema` is not a JSON Schema.
    """
    if schema is None:
        return lambda event: None
    try:
        validator = jsonschema_rs.Draft202012Validator(
            dict(schema), validate_formats=True, mask="the value", offline=True
        )
    except jsonschema_rs.ValidationError as error:
        raise InvalidSchemaError(f"eventSchema is not a JSON Schema: {error.message}") from None

    def check(event: Event) -> None:
        if validator.is_valid(event.payload):
            return
        first = next(iter(validator.iter_errors(event.payload)))
        where = "/".join(str(part) for part in first.instance_path) or "the payload"
        raise PoisonError(f"{where} does not fit the schema: {first.message}")

    return check
