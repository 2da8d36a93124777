"""Money: a decimal with at most two places, as text in JSON. A number is refused: read as a float, it loses cents."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

PATTERN = r"^\d{1,10}(\.\d{1,2})?$"
SHOWN = 40
"""Of a text that is not an amount, this many characters are quoted."""


def _exact(value: Any) -> Any:
    if isinstance(value, Decimal):  # from the database
        return value
    if not isinstance(value, str):
        raise ValueError('money is written as text, such as "29.99"; a JSON number is not exact')  # noqa: TRY004 - pydantic reads ValueError
    if not re.fullmatch(PATTERN, value, re.ASCII):
        raise ValueError(
            'money is written like "29.99": without a sign, with at most 10 digits before the point and 2 after it,'
            f" not {value[:SHOWN]!r}"
        )
    return value


Money = Annotated[
    Decimal,
    BeforeValidator(_exact),
    Field(ge=0, max_digits=12, decimal_places=2),
    PlainSerializer(lambda value: f"{value:.2f}", return_type=str),
    WithJsonSchema({"type": "string", "pattern": PATTERN, "examples": ["209.97"]}),
]
"""Field type for amounts in requests and replies."""
