"""Values of expressions as JSON."""

from __future__ import annotations

from typing import Any

from msgspec import json

from kompensa.model.expressions import ExpressionError


def encoded_json(value: Any, *, limit: int | None = None) -> bytes:
    """The value as JSON.

    Raises
    ------
    ExpressionError
        JSON has no form for the value, or the text is longer than `limit` bytes.
    """
    try:
        text = json.encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise ExpressionError(f"a value cannot be written as JSON: {error}") from error
    if limit is not None and len(text) > limit:
        raise ExpressionError(f"{len(text)} bytes are more than the {limit} that are kept; name single fields")
    return text
