"""One batch, one transaction: offsets, copy, tombstones and parked events commit together or not at all.

The offsets go first: their compare-and-set is the fence, and it locks the rows on which a zombie would collide.
An event that PostgreSQL itself refuses is found by halving the batch under savepoints; only its key is parked.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import psycopg
from psycopg import AsyncConnection

from kompensa_cdc.events import Poison, poisoned
from kompensa_cdc.replicas.batch import Applied, Batch
from kompensa_cdc.replicas.bookkeeping import Bookkeeping
from kompensa_cdc.replicas.changes import Change, Folded, fold, plan
from kompensa_cdc.replicas.parking import park, standing_of
from kompensa_cdc.replicas.statements import Statements

COPY_FROM_ROWS = 500  # below, arrays are quicker than filling a temporary table

REFUSED = (psycopg.DataError, psycopg.IntegrityError)
Refusals = dict[str, str]  # key -> why
Deletions = Mapping[str, int]  # key -> version of its deletion
Write = Callable[[AsyncConnection, Sequence[Folded], Deletions], Awaitable[tuple[int, Refusals]]]


@dataclass(frozen=True)
class Writer:
    """Writes batches of one replica through connections that `prepare` has seen.

    `may_stage`: whether the service's role may make temporary tables; without, arrays carry large batches too.
    """

    books: Bookkeeping
    statements: Statements
    may_stage: bool

    async def prepare(self, connection: AsyncConnection) -> None:
        """What a fresh connection needs once."""
        if self.may_stage:
            await connection.execute(self.statements.create_staged)

    async def apply(self, connection: AsyncConnection, batch: Batch) -> Applied:
        """Apply a batch in one transaction.

        Raises
        ------
        FencedError
            If another worker has taken a partition over; nothing was written.
        psycopg.Error
            For trouble that is not the fault of one event; nothing was written.
        """
        try:
            return await self._apply(connection, batch, self._write_whole)
        except REFUSED:
            # Rare, so that the usual batch is spared the savepoints.
            return await self._apply(connection, batch, self._write_halving)

    async def write_freed(self, connection: AsyncConnection, changes: Sequence[Change]) -> str | None:
        """Write one key's events outside of any batch, in the caller's transaction and under its lock.

        Returns why the table refuses them (nothing is written then), or None.
        """
        folded = tuple(fold(changes).values())
        standing = await standing_of(connection, self.books, [each.key for each in folded])
        _, refusals = await self._write_halving(connection, folded, standing.deleted)
        return next(iter(refusals.values()), None)

    async def _apply(self, connection: AsyncConnection, batch: Batch, write: Write) -> Applied:
        keys = {item.event.key if isinstance(item, Change) else item.key for item in batch.items}
        deletes = any(isinstance(item, Change) and item.row is None for item in batch.items)
        async with connection.transaction():
            await self.books.advance(connection, batch.moves)
            await self.books.lock(connection, alone=deletes)
            standing = await standing_of(connection, self.books, keys)
            planned = plan(batch.items, standing.held)
            written, refusals = await write(connection, planned.folded, standing.deleted)
            parked = (*planned.parked, *_refused(batch, refusals, planned.parked))
            await park(connection, self.books, parked)
        return Applied(records=len(batch.items), written=written, parked=parked)

    async def _write_whole(
        self, connection: AsyncConnection, folded: Sequence[Folded], deleted: Deletions
    ) -> tuple[int, Refusals]:
        return await self._write_all(
            connection, folded, deleted, copy=self.may_stage and len(folded) >= COPY_FROM_ROWS
        ), {}

    async def _write_halving(
        self, connection: AsyncConnection, folded: Sequence[Folded], deleted: Deletions
    ) -> tuple[int, Refusals]:
        if not folded:
            return 0, {}
        try:
            async with connection.transaction():
                return await self._write_all(connection, folded, deleted, copy=False), {}
        except REFUSED as error:
            if len(folded) == 1:
                return 0, {folded[0].key: explain(error)}
        middle = len(folded) // 2
        first, refused_first = await self._write_halving(connection, folded[:middle], deleted)
        second, refused_second = await self._write_halving(connection, folded[middle:], deleted)
        return first + second, refused_first | refused_second

    async def _write_all(
        self, connection: AsyncConnection, folded: Sequence[Folded], deleted: Deletions, *, copy: bool
    ) -> int:
        tombstones = dict(deleted)
        deletions = [each.deletion for each in folded if each.deletion]
        for deletion in deletions:
            version = deletion.event.aggregate_version
            tombstones[deletion.event.key] = max(version, tombstones.get(deletion.event.key, 0))
        states = [each.state for each in folded if each.state]
        live = [state for state in states if state.event.aggregate_version > tombstones.get(state.event.key, 0)]
        late = [state for state in states if state.event.aggregate_version <= tombstones.get(state.event.key, 0)]
        written = await self._bury(connection, deletions)
        written += await self._live(connection, live, copy=copy)
        return written + await self._late(connection, late)

    async def _bury(self, connection: AsyncConnection, deletions: Sequence[Change]) -> int:
        if not deletions:
            return 0
        values = {
            "replica": self.books.replica,
            "keys": [deletion.event.key for deletion in deletions],
            "versions": [deletion.event.aggregate_version for deletion in deletions],
            "times": [deletion.event.occurred_at for deletion in deletions],
        }
        await connection.execute(self.statements.bury, values)
        rows = 0
        for statement in self.statements.after_burial:
            rows = (await connection.execute(statement, values)).rowcount
        return rows

    async def _live(self, connection: AsyncConnection, states: Sequence[Change], *, copy: bool) -> int:
        if not states:
            return 0
        if not copy:
            return (await connection.execute(self.statements.live_from_arrays, _arrays(states))).rowcount
        async with connection.cursor() as cursor:
            async with cursor.copy(self.statements.copy_staged) as stream:
                for state in states:
                    await stream.write_row((state.event.key, state.event.aggregate_version, *(state.row or ())))
            await cursor.execute(self.statements.live_from_staged)
            return cursor.rowcount

    async def _late(self, connection: AsyncConnection, states: Sequence[Change]) -> int:
        rows = 0
        for statement in self.statements.late if states else ():
            rows = (await connection.execute(statement, [*_arrays(states), self.books.replica])).rowcount
        return rows


def _arrays(states: Sequence[Change]) -> list[list[str | None]]:
    """One array per column: keys, versions, then the row's own."""
    keys: list[str | None] = [state.event.key for state in states]
    versions: list[str | None] = [str(state.event.aggregate_version) for state in states]
    rows = zip(*(state.row or () for state in states), strict=True)
    return [keys, versions, *(list(column) for column in rows)]


def _refused(batch: Batch, refusals: Refusals, parked: Sequence[Poison]) -> list[Poison]:
    """Every event of a refused key in this batch, in order; what the plan parked already is not parked twice."""
    seen = {(event.topic, event.partition, event.offset) for event in parked}
    changes = [item for item in batch.items if isinstance(item, Change) and item.event.key in refusals]
    return [
        poisoned(change.event, refusals[change.event.key])
        for change in changes
        if (change.event.topic, change.event.partition, change.event.offset) not in seen
    ]


def explain(error: psycopg.Error) -> str:
    """PostgreSQL's reason without the value it quotes, which may be personal, but with column or constraint."""
    diagnosis = error.diag
    text = re.sub(r': ".*"$', "", diagnosis.message_primary or type(error).__name__)
    place = diagnosis.constraint_name or diagnosis.column_name
    return f"{text} ({place})" if place and place not in text else text
