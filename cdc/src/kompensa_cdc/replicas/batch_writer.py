"""Write one batch in one transaction: offsets, copy, tombstones and parked events commit together or not at all.

The offsets are moved first. Their compare-and-set is the fence: it locks the rows of the partitions, and it fails in a
worker that has lost them, before that worker has written anything.

PostgreSQL may reject an event. That event is found by halving the batch under savepoints, and it alone is parked. An
error for which the table is to blame is raised instead (see faults.py), so that a wrong table parks nothing.

A BatchWriter makes one attempt. RetryingWriter repeats it, over new connections.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Self

import psycopg
from psycopg import AsyncConnection

from kompensa_cdc.replicas.applied import Applied
from kompensa_cdc.replicas.bookkeeping import Bookkeeping
from kompensa_cdc.replicas.changes import Change, Settled, key_of, settle
from kompensa_cdc.replicas.parking import drop_superseded, look_up_keys, park
from kompensa_cdc.replicas.row_writer import Deletions, RowWriter, with_deletions
from kompensa_cdc.replicas.spec import ReplicaSpec
from kompensa_cdc.replicas.statements import compose_statements
from kompensa_cdc.replicas.table import TargetError, TargetTable, read_table
from kompensa_consumer import Batch, Poison, poisoned
from kompensa_consumer.faults import Fault, explain, fault_of, may_blame_event

# Violations that depend on another row: a later change of that row may resolve them.
COLLISIONS = (
    psycopg.errors.UniqueViolation,
    psycopg.errors.ExclusionViolation,
    psycopg.errors.ForeignKeyViolation,
)
Items = Sequence[Change | Poison]


@dataclass(frozen=True)
class Rejected:
    """A change that the table does not accept, and PostgreSQL's reason."""

    change: Change
    error: psycopg.Error


@dataclass(frozen=True)
class BatchWriter:
    """Writes the batches of one replica, each in a transaction of its own. It keeps no connection and never retries."""

    books: Bookkeeping
    rows: RowWriter

    @classmethod
    def of_table(cls, spec: ReplicaSpec, table: TargetTable, books: Bookkeeping) -> Self:
        """Compose the statements for the table as it is now.

        Raises
        ------
        TargetError
            If a soft deletion could not blank a personal column.
        """
        return cls(books, RowWriter(books.replica, compose_statements(spec, table, books), table.may_stage))

    async def prepare_connection(self, connection: AsyncConnection) -> None:
        """Prepare a new connection, before its first batch."""
        await self.rows.prepare_connection(connection)

    async def write(self, connection: AsyncConnection, batch: Batch[Change | Poison]) -> Applied:
        """Write a batch in one transaction. If this raises, nothing was written.

        Parameters
        ----------
        connection
            A connection that `prepare_connection` has prepared.

        Raises
        ------
        FencedError
            If another worker has taken over a partition of the batch.
        TargetError
            If an event would be parked, and the table has changed since the statements were composed.
        psycopg.Error
            For an error that is not the fault of one event.
        """
        try:
            return await self._write(connection, batch, halving=False)
        except psycopg.Error as error:
            if not may_blame_event(error):
                raise
            # Savepoints cost time: only a batch that failed as a whole pays for them.
            return await self._write(connection, batch, halving=True)

    async def write_parked(self, connection: AsyncConnection, items: Items) -> Settled:
        """Write parked events, prepared again, in the caller's transaction and under its lock.

        The result says which version the copy holds of each key now, which events still do not fit, and why. The
        caller deletes the rows of parked events.
        """
        keys = {key_of(item) for item in items}
        deleted = (await look_up_keys(connection, self.books, keys)).deleted
        held = await self._held(connection, keys, deleted)
        _, rejected = await self._write_all_that_fit(connection, _changes(items), deleted)
        return settle(_with_rejected(items, rejected), held)

    async def _write(self, connection: AsyncConnection, batch: Batch[Change | Poison], *, halving: bool) -> Applied:
        keys = {key_of(item) for item in batch.items}
        poisoned_keys = {item.key for item in batch.items if isinstance(item, Poison)}
        async with connection.transaction():
            await self.books.offsets.advance(connection, batch.moves)
            await self.books.lock(connection, alone=halving or _deletes(batch.items) or bool(poisoned_keys))
            known = await look_up_keys(connection, self.books, keys)
            unsettled = keys if halving else poisoned_keys | known.parked
            held = await self._held(connection, unsettled, known.deleted)
            written, rejected = await self._write_rows(connection, batch.items, known.deleted, halving=halving)
            items = _with_rejected(batch.items, rejected)
            settled = settle([item for item in items if key_of(item) in unsettled], held)
            freed = await self._park(connection, settled, free=bool(known.parked))
        return Applied(
            records=len(batch.items),
            written=written,
            parked=tuple(each.poison for each in settled.waiting),
            superseded=tuple(sorted(freed | {event.key for event in settled.superseded})),
        )

    async def _write_rows(
        self, connection: AsyncConnection, items: Items, deleted: Deletions, *, halving: bool
    ) -> tuple[int, list[Rejected]]:
        """Write the batch's changes; return the number of rows, and the changes that the table rejects."""
        changes = _changes(items)
        if not halving:
            return await self.rows.write(connection, changes, deleted, may_copy=True), []
        written, rejected = await self._write_all_that_fit(connection, changes, deleted)
        if not written:
            _raise_unclear(rejected)
        return written, rejected

    async def _park(self, connection: AsyncConnection, settled: Settled, *, free: bool) -> set[str]:
        """Park the waiting events, and `free` keys of parked events that are superseded; return the freed keys."""
        if settled.waiting:
            await self._check_unchanged(connection)
        freed = await drop_superseded(connection, self.books, settled.newest) if free else set()
        await park(connection, self.books, settled.waiting)
        return freed

    async def _check_unchanged(self, connection: AsyncConnection) -> None:
        """Check, before an event is parked, that it was tried against the table as it is now."""
        target, table = self.rows.statements.target, self.rows.statements.table
        if await read_table(connection, target) != table:
            raise TargetError(f"table {target.table} has changed since it was read: it is read again")

    async def _held(self, connection: AsyncConnection, keys: Collection[str], deleted: Deletions) -> dict[str, int]:
        """Return the version that the copy holds of each key: that of its row or of its deletion."""
        versions = await self._row_versions(connection, sorted(keys))
        return {key: max(versions.get(key, 0), deleted.get(key, 0)) for key in keys}

    async def _row_versions(self, connection: AsyncConnection, keys: Sequence[str]) -> dict[str, int]:
        """Return the version of each row, by halving: a key may not fit the key column's type, and then has no row."""
        if not keys:
            return {}
        try:
            async with connection.transaction():
                return await self.rows.versions(connection, keys)
        except psycopg.Error as error:
            if not may_blame_event(error):
                raise
            if len(keys) == 1:
                return {}
        middle = len(keys) // 2
        first = await self._row_versions(connection, keys[:middle])
        return first | await self._row_versions(connection, keys[middle:])

    async def _write_all_that_fit(
        self, connection: AsyncConnection, changes: Sequence[Change], deleted: Deletions
    ) -> tuple[int, list[Rejected]]:
        """Write by halving, then try the changes that collided with another row once more, one by one.

        The other row may have been written since. For example, it may have given up the unique value that the change
        needs.
        """
        written, rejected = await self._write_halving(connection, _in_order(changes), deleted)
        collided = {each.change.event.place for each in rejected if isinstance(each.error, COLLISIONS)}
        if not written or not collided:
            return written, rejected
        final = [each for each in rejected if each.change.event.place not in collided]
        rejected_places = {each.change.event.place for each in rejected}
        gone = with_deletions(deleted, [each for each in changes if each.event.place not in rejected_places])
        for change in changes:
            if change.event.place in collided:
                more, still_rejected = await self._write_halving(connection, [change], gone)
                written += more
                final += still_rejected
                gone = gone if still_rejected else with_deletions(gone, [change])
        return written, final

    async def _write_halving(
        self, connection: AsyncConnection, changes: Sequence[Change], deleted: Deletions
    ) -> tuple[int, list[Rejected]]:
        """Write the changes that the table accepts; return the number of rows, and the rejected changes.

        Constraints are checked before each savepoint ends. A deferred constraint would otherwise fail at the commit,
        which does not say for which event.

        `changes` are in the order of `_in_order`. If a key's events fall into two halves, the older ones are then
        written first, as if each had come alone.
        """
        if not changes:
            return 0, []
        try:
            async with connection.transaction():
                written = await self.rows.write(connection, changes, deleted, may_copy=False)
                await connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
                return written, []
        except psycopg.Error as error:
            if not may_blame_event(error):
                raise
            if len(changes) == 1:
                return 0, [Rejected(changes[0], error)]
        middle = len(changes) // 2
        first, rejected_first = await self._write_halving(connection, changes[:middle], deleted)
        second, rejected_second = await self._write_halving(connection, changes[middle:], deleted)
        return first + second, rejected_first + rejected_second


def _changes(items: Items) -> list[Change]:
    return [item for item in items if isinstance(item, Change)]


def _deletes(items: Items) -> bool:
    return any(isinstance(item, Change) and item.row is None for item in items)


def _in_order(changes: Sequence[Change]) -> list[Change]:
    """Sort by key and version; a state comes before a deletion of the same version, which it must not outlive."""
    return sorted(changes, key=lambda each: (each.event.key, each.event.aggregate_version, each.row is None))


def _raise_unclear(rejected: Sequence[Rejected]) -> None:
    """Raise an error that may be the table's fault: nothing in the batch fits, so parking would be a guess.

    The next session tries again, with more events if there are more. If any of them fits, the table is right.
    """
    for each in rejected:
        if fault_of(each.error) is Fault.UNCLEAR:
            raise each.error


def _with_rejected(items: Items, rejected: Sequence[Rejected]) -> Items:
    """Put the rejected events, as Poison, into the places where they were read."""
    if not rejected:
        return items
    poison = {each.change.event.place: poisoned(each.change.event, explain(each.error)) for each in rejected}
    return [poison.get(item.event.place, item) if isinstance(item, Change) else item for item in items]
