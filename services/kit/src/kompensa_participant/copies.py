"""Copies of what another service owns: rows that only the replica worker writes, and routes to look at them."""

# Annotations are evaluated here, because the routes of `Copies.router` have names that only exist at run time.

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path
from psycopg import AsyncConnection, sql
from psycopg.rows import dict_row

from kompensa_participant.endpoints import Database
from kompensa_participant.messages import Message
from kompensa_participant.paging import After, Limit, page_of
from kompensa_participant.problem import Problem


class Copies:
    """The table of the copies of one kind of thing, for example of orders' customers.

    A row has the copied columns, `source_version`, `synced_at` and `deleted_at`. A deleted copy stays, without data.
    """

    def __init__(self, table: str, *, key: str, noun: str, authority: str) -> None:
        """Name the copies.

        Parameters
        ----------
        table
            The table, which is also the path of the routes, for example `customers`.
        key
            The column of the id that the authority gave, for example `orders_customer_id`.
        noun
            One of them, in messages, for example `customer`.
        authority
            The service that owns them.
        """
        self._table = table
        self._key = key
        self._noun = noun
        self._authority = authority
        self._find = sql.SQL("SELECT * FROM {} WHERE {} = %s").format(sql.Identifier(table), sql.Identifier(key))

    async def page(self, connection: AsyncConnection[Any], *, limit: int, after: UUID | None) -> list[dict[str, Any]]:
        """Copies in the order of their ids, from after the given one; without those that were deleted."""
        return await page_of(connection, self._table, key=self._key, limit=limit, after=after)

    async def find(self, connection: AsyncConnection[Any], id_: UUID) -> dict[str, Any] | None:
        """One copy, or None while there is none. A deleted one has `deleted_at`."""
        async with connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(self._find, (id_,))
            return await cursor.fetchone()

    def missing(self, id_: UUID) -> Problem:
        """The answer while a copy that an action needs is not there: 503, for example customer-not-copied."""
        detail = (
            f"{self._noun} {id_} is not known here: {self._authority} has none, or the copy is on its way; ask again"
        )
        return Problem(503, f"{self._noun}-not-copied", detail, headers={"Retry-After": "1"})

    def router(self, copy: type[Message]) -> APIRouter:
        """Two routes to read copies, each in the form `copy`. No route writes one, so that is answered with 405."""
        router = APIRouter(prefix=f"/{self._table}", tags=[f"{self._table} (copies)"])

        @router.get(
            "",
            response_model=list[copy],  # type: ignore[valid-type]  # FastAPI needs the type itself
            description=f"Return up to `limit` copied {self._table} in the order of their ids, from the one after "
            "`after`; no deleted ones.",
        )
        async def listing(database: Database, limit: Limit = 100, after: After = None) -> list[Message]:
            return [copy(**row) for row in await self.page(database, limit=limit, after=after)]

        @router.get(
            f"/{{{self._key}}}",
            response_model=copy,
            description=f"Return the copy of one {self._noun} by the id that {self._authority} gave; 404 not-copied if "
            "there is none or it is deleted.",
        )
        async def get(id_: Annotated[UUID, Path(alias=self._key)], database: Database) -> Message:
            row = await self.find(database, id_)
            if row is None or row["deleted_at"] is not None:
                raise Problem(404, "not-copied", f"there is no copy of {self._noun} {id_} here")
            return copy(**row)

        return router
