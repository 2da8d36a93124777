"""A writer without broker and worker, on a real table: what the tests of the writer are written with."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import psycopg
from psycopg import AsyncConnection

from kompensa_cdc.replicas import replica_from_object
from kompensa_cdc.replicas.batch_writer import BatchWriter
from kompensa_cdc.replicas.bookkeeping import Bookkeeping
from kompensa_cdc.replicas.changes import Change as Prepared
from kompensa_cdc.replicas.prepare import preparer
from kompensa_cdc.replicas.table import read_table
from kompensa_consumer import Batch, Poison
from kompensa_consumer.database import connect
from kompensa_consumer.offsets import Advance, Claim
from kompensa_dev.postgres import Login

from .copies import DELETED, Change, query, replica_object

ANA = "7d444840-9dc0-11d1-b245-5ffdce74fad2"
BIA = "3b241101-e2bb-4255-8caf-4136c566a962"
TOPIC = ("t.customers", 0)


@dataclass(frozen=True)
class Record:
    change: Change
    offset_: int

    def topic(self) -> str:
        return TOPIC[0]

    def partition(self) -> int:
        return TOPIC[1]

    def offset(self) -> int:
        return self.offset_

    def key(self) -> bytes:
        return self.change.key.encode(errors="surrogateescape")

    def value(self) -> bytes | None:
        return None if self.change.body is None else json.dumps(self.change.body).encode()

    def headers(self) -> list[tuple[str, str | bytes | None]]:
        return list(self.change.headers)

    def timestamp(self) -> tuple[int, int]:
        return (1, 0)


class Desk:
    """A writer with a connection, and a claim on one partition that it moves along."""

    def __init__(self, connection: AsyncConnection, writer: BatchWriter, prepare: object) -> None:
        self.connection = connection
        self.writer = writer
        self._prepare = prepare
        self.claim: Claim | None = None

    async def take_over(self) -> None:
        self.claim = (await self.writer.books.offsets.claim(self.connection, [TOPIC]))[TOPIC]

    async def write(self, changes: Sequence[Change]) -> None:
        """Apply the changes as one batch at our offset."""
        batch = self.batch(changes)
        await self.writer.write(self.connection, batch)
        self.claim = replace(self._claimed, next_offset=batch.moves[0].next_offset)

    def batch(self, changes: Sequence[Change]) -> Batch[Prepared | Poison]:
        start = self._claimed.next_offset
        items = tuple(self._prepared(change, start + index) for index, change in enumerate(changes))
        move = Advance(
            topic=TOPIC[0],
            partition=TOPIC[1],
            start=start,
            next_offset=start + len(changes),
            epoch=self._claimed.epoch,
            records=len(changes),
        )
        return Batch(items, (move,))

    @property
    def _claimed(self) -> Claim:
        assert self.claim is not None
        return self.claim

    def _prepared(self, change: Change, offset: int) -> Prepared | Poison:
        prepared = self._prepare(Record(change, offset))  # type: ignore[operator]
        assert isinstance(prepared, Prepared | Poison)
        return prepared


@asynccontextmanager
async def desk(
    login: Login, *, on_delete: str = "SoftDelete", replica: Mapping[str, Any] | None = None
) -> AsyncIterator[Desk]:
    """A desk at the table of `replica`, a whole object; without one, at invoices.customers."""
    spec = replica_from_object(replica or replica_object("t", onDelete=on_delete))
    books = Bookkeeping("invoices", spec.replica)
    async with await connect(login.url) as connection:
        await books.create_tables(connection)
        table = await read_table(connection, spec.target)
        writer = BatchWriter.of_table(spec, table, books)
        await writer.prepare_connection(connection)
        made = Desk(connection, writer, preparer(spec, table))
        await made.take_over()
        yield made


def copy_of(*columns: str, on_delete: str = "Delete", **target: Any) -> dict[str, Any]:
    """A Replica of invoices.things (id, version and these columns, each `name` or `name type`)."""
    declared = [dict(zip(("name", "type"), column.split(), strict=False)) for column in columns]
    names = {"table": "invoices.things", "keyColumn": "id", "versionColumn": "version", "columns": declared}
    return {
        "metadata": {"namespace": "shop", "name": "things"},
        "spec": {
            "source": {"topics": ["t.things"], "deleteEvents": [DELETED]},
            "target": names | target,
            "onDelete": on_delete,
        },
    }


def emptied(login: Login) -> None:
    with psycopg.connect(login.url, autocommit=True) as connection:
        connection.execute(
            "TRUNCATE invoices.customers, invoices.kompensa_replica_tombstones, invoices.kompensa_replica_parked"
        )


def rows(login: Login) -> list[dict[str, Any]]:
    return query(login.url, "SELECT * FROM invoices.things ORDER BY id")


def ids(login: Login) -> list[Any]:
    return [row["id"] for row in rows(login)]


def parked(login: Login) -> dict[str, str]:
    """The error of each parked key."""
    return {row["key"]: row["error"] for row in query(login.url, "SELECT * FROM invoices.kompensa_replica_parked")}
