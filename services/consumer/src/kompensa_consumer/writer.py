"""Write batches until they are written.

If the reply to a commit is lost, the next attempt raises FencedError, because the offsets have moved. The session then
ends, and the next one reads on from the offsets that the database holds.

A batch that the database cannot write in time is written in parts, each committed separately. Retried as a whole, it
would time out forever.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from psycopg import AsyncConnection

from kompensa_consumer.batch import Batch, Item
from kompensa_consumer.connection import RetryingConnection, TimedOutError

Written = TypeVar("Written")
Written_co = TypeVar("Written_co", covariant=True)


class Writer(Protocol[Item, Written_co]):
    """Writes a batch into the database."""

    async def prepare_connection(self, connection: AsyncConnection) -> None:
        """Prepare a new connection, for example by a temporary table."""

    async def write(self, connection: AsyncConnection, batch: Batch[Item]) -> Written_co:
        """Apply a batch and move its offsets, in one transaction."""


class RetryingWriter(Generic[Item, Written]):
    """A writer that retries.

    Parameters
    ----------
    connection
        The writer's own; it prepares new connections by `writer.prepare_connection`.
    most_records
        The largest number of records in one transaction.
    """

    def __init__(
        self, writer: Writer[Item, Written], connection: RetryingConnection, *, most_records: int = sys.maxsize
    ) -> None:
        self._writer = writer
        self._connection = connection
        self._most_records = most_records
        self._max_records = most_records  # in one transaction: halved by a time-out, raised by each one in time

    async def write(self, batch: Batch[Item], written: Callable[[Batch[Item], Written, float], None]) -> None:
        """Write a batch, however long that takes; in parts, if as a whole it takes too long.

        Parameters
        ----------
        written
            Called with each part, its result and its begin (seconds since the epoch), once it is committed.

        Raises
        ------
        SessionError
            If the session cannot go on, for example if another worker has taken over a partition of the batch.
        psycopg.Error
            If the tables are to blame: for example, if a column is missing, or if they reject every event.
        """
        rest: Batch[Item] | None = batch
        while rest is not None:
            part, later = rest.cut(self._max_records)
            began = time.time()
            try:
                result = await self._write_part(part)
            except TimedOutError:
                self._max_records = len(part.items) // 2
            else:
                self._max_records = min(self._most_records, self._max_records + max(1, self._max_records // 10))
                written(part, result, began)
                rest = later

    async def _write_part(self, part: Batch[Item]) -> Written:
        return await self._connection.run(
            lambda connection: self._writer.write(connection, part), records=len(part.items)
        )
