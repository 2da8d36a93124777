"""Pages of a projection, the newest rows first. A cursor is the place after the last row of a page."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, NamedTuple
from uuid import UUID

from fastapi import Query
from psycopg import AsyncConnection, sql
from psycopg.rows import dict_row

from kompensa_participant.problem import Problem

Row = dict[str, Any]
Cursor = Annotated[
    str | None,
    Query(max_length=200, description="`next` of the page before; left out for the first page."),
]

_PAGE = """
    SELECT * FROM {table}
     WHERE {column} = %(value)s AND (%(at)s::timestamptz IS NULL OR ({time}, {key}) < (%(at)s, %(id)s::uuid))
     ORDER BY {time} DESC, {key} DESC LIMIT %(limit)s
"""


class NewestFirst(NamedTuple):
    """A page. `next` is the cursor of the page after it, or None if this is the last one."""

    rows: Sequence[Row]
    next: str | None


class _Place(NamedTuple):
    at: datetime
    id: UUID

    def __str__(self) -> str:
        return base64.urlsafe_b64encode(f"{self.at.isoformat()} {self.id}".encode()).decode().rstrip("=")

    @classmethod
    def parse(cls, text: str) -> _Place:
        try:
            at, _, id_ = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode("ascii").partition(" ")
            return cls(datetime.fromisoformat(at), UUID(id_))
        except (ValueError, binascii.Error) as error:
            detail = f"cursor: {text!r} is not `next` of a page; leave it out to begin with the first page"
            raise Problem(422, "cursor-invalid", detail) from error


async def newest_first(
    connection: AsyncConnection[Any],
    table: str,
    *,
    column: str,
    value: Any,
    key: str,
    time: str = "created_at",
    cursor: str | None,
    limit: int,
) -> NewestFirst:
    """The next rows whose `column` has this value. The table needs an index on (column, time, key).

    Raises
    ------
    Problem
        422 `cursor-invalid`.
    """
    place = _Place.parse(cursor) if cursor is not None else None
    names = {
        name: sql.Identifier(text)
        for name, text in {"table": table, "column": column, "time": time, "key": key}.items()
    }
    parameters = {
        "value": value,
        "at": place.at if place else None,
        "id": place.id if place else None,
        "limit": limit + 1,
    }
    async with connection.cursor(row_factory=dict_row) as found:
        await found.execute(sql.SQL(_PAGE).format(**names), parameters)
        rows = await found.fetchall()
    more = len(rows) > limit
    page = rows[:limit]
    return NewestFirst(page, str(_Place(page[-1][time], page[-1][key])) if more else None)
