"""Lists come in pages: at most `limit` rows, from after the last id of the page before."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import Query
from psycopg import AsyncConnection, sql
from psycopg.rows import dict_row

Limit = Annotated[int, Query(ge=1, le=500, description="Rows of a page, at most.")]
After = Annotated[UUID | None, Query(description="The last id of the page before; left out for the first page.")]

_PAGE = """
SELECT * FROM {table} WHERE deleted_at IS NULL AND (%(after)s::uuid IS NULL OR {key} > %(after)s)
 ORDER BY {key} LIMIT %(limit)s
"""


async def page_of(
    connection: AsyncConnection[Any], table: str, *, key: str = "id", limit: int, after: UUID | None
) -> list[dict[str, Any]]:
    """Rows of a table in the order of its column `key`, without those whose `deleted_at` says that they are deleted."""
    statement = sql.SQL(_PAGE).format(table=sql.Identifier(table), key=sql.Identifier(key))
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(statement, {"after": after, "limit": limit})
        return await cursor.fetchall()
