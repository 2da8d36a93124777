"""One batch, one transaction: offsets, copy, tombstones and parked events commit together or not at all.

The offsets go first: their compare-and-set is the fence, and it locks the rows on which a zombie would collide.
An event that PostgreSQL itself refuses is found by halving the batch under savepoints; only that event is parked.
What the table is to blame for is raised instead (see faults.py), so that a wrong table parks nothing.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import psycopg
from psycopg import AsyncConnection

from kompensa_cdc.events import Poison, poisoned
from kompensa_cdc.replicas.batch import Applied, Batch
from kompensa_cdc.replicas.bookkeeping import Bookkeeping
from kompensa_cdc.replicas.changes import Change, Folded, Settled, fold, key_of, settle
from kompensa_cdc.replicas.faults import Fault, fault_of, may_blame_event
from kompensa_cdc.replicas.parking import drop_superseded, look_up_keys, park
from kompensa_cdc.replicas.statements import Statements
from kompensa_cdc.replicas.table import TargetError, read_table

# Below both, arrays are quicker than filling a temporary table. Large texts are slow in an array: each of their quotes
# is escaped on the way into it.
COPY_FROM_ROWS = 500
COPY_FROM_CHARACTERS = 200_000

# By what another row holds or lacks, which a change of that row may mend.
COLLISIONS = (
    psycopg.errors.UniqueViolation,
    psycopg.errors.ExclusionViolation,
    psycopg.errors.ForeignKeyViolation,
)
Deletions = Mapping[str, int]  # key -> version of its deletion
Items = Sequence[Change | Poison]


@dataclass(frozen=True)
class Rejected:
    """A change that the table does not take, and why."""

    change: Change
    error: psycopg.Error


@dataclass(frozen=True)
class BatchWriter:
    """Writes batches of one replica through connections that `prepare` has seen.

    `may_stage`: whether the service's role may make temporary tables; without, arrays carry large batches too.
    """

    books: Bookkeeping
    statements: Statements
    may_stage: bool

    async def prepare_connection(self, connection: AsyncConnection) -> None:
        """What a fresh connection needs once."""
        if self.may_stage:
            await connection.execute(self.statements.create_staged)

    async def write(self, connection: AsyncConnection, batch: Batch) -> Applied:
        """Apply a batch in one transaction.

        Raises
        ------
        FencedError
            If another worker has taken a partition over; nothing was written.
        TargetError
            If something would be parked, and the table has changed since the statements were composed.
        psycopg.Error
            For trouble that is not the fault of one event; nothing was written.
        """
        try:
            return await self._write(connection, batch, halving=False)
        except psycopg.Error as error:
            if not may_blame_event(error):
                raise
            # Rare, so that the usual batch is spared the savepoints.
            return await self._write(connection, batch, halving=True)

    async def write_parked(self, connection: AsyncConnection, items: Items) -> Settled:
        """Write parked events, prepared anew, outside of any batch: in the caller's transaction and under its lock.

        What the copy holds afterwards, and what still waits and why, is in the answer; the parked rows are not touched.
        """
        keys = {key_of(item) for item in items}
        deleted = (await look_up_keys(connection, self.books, keys)).deleted
        held = await self._held(connection, keys, deleted)
        _, rejected = await self._write_what_fits(connection, _changes(items), deleted)
        return settle(_with_rejected(items, rejected), held)

    async def _write(self, connection: AsyncConnection, batch: Batch, *, halving: bool) -> Applied:
        keys = {key_of(item) for item in batch.items}
        changes = _changes(batch.items)
        poisoned_keys = {item.key for item in batch.items if isinstance(item, Poison)}
        deletes = any(change.row is None for change in changes)
        async with connection.transaction():
            await self.books.advance(connection, batch.moves)
            await self.books.lock(connection, alone=halving or deletes or bool(poisoned_keys))
            state = await look_up_keys(connection, self.books, keys)
            unsettled = keys if halving else poisoned_keys | state.parked
            held = await self._held(connection, unsettled, state.deleted)
            rejected: list[Rejected] = []
            if halving:
                written, rejected = await self._write_what_fits(connection, changes, state.deleted)
                if not written:
                    _raise_unclear(rejected)
            else:
                written = await self._write_whole(connection, changes, state.deleted)
            items = _with_rejected(batch.items, rejected)
            settled = settle([item for item in items if key_of(item) in unsettled], held)
            if settled.waiting:
                await self._check_unchanged(connection)
            freed: set[str] = set()
            if state.parked:
                freed = await drop_superseded(connection, self.books, settled.newest)
            await park(connection, self.books, settled.waiting)
        return Applied(
            records=len(batch.items),
            written=written,
            parked=tuple(each.poison for each in settled.waiting),
            superseded=tuple(sorted(freed | {event.key for event in settled.superseded})),
        )

    async def _check_unchanged(self, connection: AsyncConnection) -> None:
        """Before anything is parked: an event that fits the table as it is now must not be judged by what it was."""
        if await read_table(connection, self.statements.target) != self.statements.table:
            raise TargetError(f"table {self.statements.target.table} has changed since it was read: it is read anew")

    async def _held(self, connection: AsyncConnection, keys: Collection[str], deleted: Deletions) -> dict[str, int]:
        """The version that the copy holds of each key, of its row or of its deletion."""
        versions = await self._row_versions(connection, sorted(keys))
        return {key: max(versions.get(key, 0), deleted.get(key, 0)) for key in keys}

    async def _row_versions(self, connection: AsyncConnection, keys: Sequence[str]) -> dict[str, int]:
        """By halving, for the keys of poison may be none by the key column's type; no row can have such a one."""
        if not keys:
            return {}
        try:
            async with connection.transaction():
                rows = await connection.execute(self.statements.row_versions, (list(keys),))
                return {key: version async for key, version in rows}
        except psycopg.Error as error:
            if not may_blame_event(error):
                raise
            if len(keys) == 1:
                return {}
        middle = len(keys) // 2
        first = await self._row_versions(connection, keys[:middle])
        return first | await self._row_versions(connection, keys[middle:])

    async def _write_whole(self, connection: AsyncConnection, changes: Sequence[Change], deleted: Deletions) -> int:
        folded = tuple(fold(changes).values())
        return await self._write_all(connection, folded, deleted, copy=self.may_stage and _is_large(folded))

    async def _write_what_fits(
        self, connection: AsyncConnection, changes: Sequence[Change], deleted: Deletions
    ) -> tuple[int, list[Rejected]]:
        """Write by halving, and then once more, one by one as they came, the changes that collided with another row.

        That row may have been written since: it has let go of the unique value that was wanted, say.
        """
        written, rejected = await self._write_halving(connection, _in_order(changes), deleted)
        collided = {each.change.event.place for each in rejected if isinstance(each.error, COLLISIONS)}
        if not written or not collided:
            return written, rejected
        final = [each for each in rejected if each.change.event.place not in collided]
        aside = {each.change.event.place for each in rejected}
        gone = _with_deletions(deleted, [each for each in changes if each.event.place not in aside])
        for change in changes:
            if change.event.place in collided:
                more, still_refused = await self._write_halving(connection, [change], gone)
                written += more
                final += still_refused
                gone = gone if still_refused else _with_deletions(gone, [change])
        return written, final

    async def _write_halving(
        self, connection: AsyncConnection, changes: Sequence[Change], deleted: Deletions
    ) -> tuple[int, list[Rejected]]:
        """Write what the table takes; return the number of rows, and the changes that it refuses.

        Constraints are looked at before each savepoint ends: the deferred ones would else fail at the commit, where
        nobody could say for which event.

        `changes` are in the order of `_in_order`: a key's events that fall into two halves are then written the older
        ones first, as if each had come by itself.
        """
        if not changes:
            return 0, []
        try:
            async with connection.transaction():
                written = await self._write_all(connection, tuple(fold(changes).values()), deleted, copy=False)
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

    async def _write_all(
        self, connection: AsyncConnection, folded: Sequence[Folded], deleted: Deletions, *, copy: bool
    ) -> int:
        deletions = [each.deletion for each in folded if each.deletion]
        tombstones = _with_deletions(deleted, deletions)
        states = [each.state for each in folded if each.state]
        live = [state for state in states if state.event.aggregate_version > tombstones.get(state.event.key, 0)]
        late = [state for state in states if state.event.aggregate_version <= tombstones.get(state.event.key, 0)]
        written = await self._write_deletions(connection, deletions)
        written += await self._upsert(connection, live, copy=copy)
        return written + await self._upsert_late(connection, late)

    async def _write_deletions(self, connection: AsyncConnection, deletions: Sequence[Change]) -> int:
        if not deletions:
            return 0
        values = {
            "replica": self.books.replica,
            "keys": [deletion.event.key for deletion in deletions],
            "versions": [deletion.event.aggregate_version for deletion in deletions],
            "times": [deletion.event.occurred_at for deletion in deletions],
        }
        await connection.execute(self.statements.write_tombstones, values)
        rows = 0
        for statement in self.statements.apply_tombstones:
            rows = (await connection.execute(statement, values)).rowcount
        return rows

    async def _upsert(self, connection: AsyncConnection, states: Sequence[Change], *, copy: bool) -> int:
        if not states:
            return 0
        if not copy:
            return (await connection.execute(self.statements.upsert_from_arrays, _arrays(states))).rowcount
        async with connection.cursor() as cursor:
            async with cursor.copy(self.statements.copy_staged) as stream:
                for state in states:
                    await stream.write_row((state.event.key, state.event.aggregate_version, *(state.row or ())))
            await cursor.execute(self.statements.upsert_from_staged)
            return cursor.rowcount

    async def _upsert_late(self, connection: AsyncConnection, states: Sequence[Change]) -> int:
        rows = 0
        for statement in self.statements.upsert_late if states else ():
            rows = (await connection.execute(statement, [*_arrays(states), self.books.replica])).rowcount
        return rows


def _arrays(states: Sequence[Change]) -> list[list[str | None]]:
    """One array per column: keys, versions, then the row's own."""
    keys: list[str | None] = [state.event.key for state in states]
    versions: list[str | None] = [str(state.event.aggregate_version) for state in states]
    rows = zip(*(state.row or () for state in states), strict=True)
    return [keys, versions, *(list(column) for column in rows)]


def _is_large(folded: Sequence[Folded]) -> bool:
    if len(folded) >= COPY_FROM_ROWS:
        return True
    rows = (each.state.row or () for each in folded if each.state)
    return sum(len(text) for row in rows for text in row if text) >= COPY_FROM_CHARACTERS


def _changes(items: Items) -> list[Change]:
    return [item for item in items if isinstance(item, Change)]


def _in_order(changes: Sequence[Change]) -> list[Change]:
    """By key and version; a state before a deletion of the same version, which it must not outlive."""
    return sorted(changes, key=lambda each: (each.event.key, each.event.aggregate_version, each.row is None))


def _with_deletions(deleted: Deletions, changes: Sequence[Change]) -> Deletions:
    """The version of each key's newest deletion, those among `changes` included."""
    tombstones = dict(deleted)
    for change in changes:
        if change.row is None:
            tombstones[change.event.key] = max(change.event.aggregate_version, tombstones.get(change.event.key, 0))
    return tombstones


def _raise_unclear(rejected: Sequence[Rejected]) -> None:
    """Where nothing fits, raise what may be the table's fault: a session that reads on may bring the proof."""
    for each in rejected:
        if fault_of(each.error) is Fault.UNCLEAR:
            raise each.error


def _with_rejected(items: Items, rejected: Sequence[Rejected]) -> Items:
    """Put the rejected events, as Poison, into the places where they were read."""
    if not rejected:
        return items
    poison = {each.change.event.place: poisoned(each.change.event, explain(each.error)) for each in rejected}
    return [poison.get(item.event.place, item) if isinstance(item, Change) else item for item in items]


def explain(error: psycopg.Error) -> str:
    """PostgreSQL's reason without the value it quotes, which may be personal, but with column or constraint."""
    diagnosis = error.diag
    text = re.sub(r': ".*"$', "", diagnosis.message_primary or type(error).__name__)
    place = diagnosis.constraint_name or diagnosis.column_name
    return f"{text} ({place})" if place and place not in text else text
