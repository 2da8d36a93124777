"""Write changes into the copy's table, in the caller's transaction: tombstones and deletions first, then states.

Which statements these are is in statements.py, and what happens if PostgreSQL rejects a change is in batch_writer.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from psycopg import AsyncConnection

from kompensa_cdc.replicas.changes import Change, Folded, fold
from kompensa_cdc.replicas.statements import Statements

# Below both limits, arrays are quicker than filling a temporary table. Large texts are slow in an array, which needs
# each of their quotes escaped.
COPY_FROM_ROWS = 500
COPY_FROM_CHARACTERS = 200_000

Deletions = Mapping[str, int]  # key -> version of its deletion


@dataclass(frozen=True)
class RowWriter:
    """Writes rows of one replica.

    Attributes
    ----------
    may_stage
        Whether the service's role may create temporary tables. If not, arrays carry large batches too.
    """

    replica: str
    statements: Statements
    may_stage: bool

    async def prepare_connection(self, connection: AsyncConnection) -> None:
        """Create the temporary table that large batches go through: once a connection, before its first batch."""
        if self.may_stage:
            await connection.execute(self.statements.create_staged)

    async def write(
        self, connection: AsyncConnection, changes: Sequence[Change], deleted: Deletions, *, may_copy: bool
    ) -> int:
        """Write all changes and return the number of rows that changed.

        Parameters
        ----------
        deleted
            The version of each key's deletion that the database holds. A state that is not newer is written blanked,
            or not at all.
        may_copy
            Whether a large batch may go through COPY. Once a transaction only: the temporary table keeps its rows
            until the commit.
        """
        folded = tuple(fold(changes).values())
        deletions = [each.deletion for each in folded if each.deletion]
        tombstones = with_deletions(deleted, deletions)
        states = [each.state for each in folded if each.state]
        live = [state for state in states if state.event.aggregate_version > tombstones.get(state.event.key, 0)]
        late = [state for state in states if state.event.aggregate_version <= tombstones.get(state.event.key, 0)]
        written = await self._write_deletions(connection, deletions)
        if live and may_copy and self.may_stage and _is_large(folded):
            written += await self._copy(connection, live)
        else:
            written += await self._upsert(connection, live)
        return written + await self._upsert_late(connection, late)

    async def versions(self, connection: AsyncConnection, keys: Sequence[str]) -> dict[str, int]:
        """Return the version of each key's row; a key without a row is absent."""
        rows = await connection.execute(self.statements.row_versions, (list(keys),))
        return {key: version async for key, version in rows}

    async def _write_deletions(self, connection: AsyncConnection, deletions: Sequence[Change]) -> int:
        if not deletions:
            return 0
        values = {
            "replica": self.replica,
            "keys": [deletion.event.key for deletion in deletions],
            "versions": [deletion.event.aggregate_version for deletion in deletions],
            "times": [deletion.event.occurred_at for deletion in deletions],
        }
        await connection.execute(self.statements.write_tombstones, values)
        rows = 0
        for statement in self.statements.apply_tombstones:
            rows = (await connection.execute(statement, values)).rowcount
        return rows

    async def _upsert(self, connection: AsyncConnection, states: Sequence[Change]) -> int:
        if not states:
            return 0
        return (await connection.execute(self.statements.upsert_from_arrays, _arrays(states))).rowcount

    async def _copy(self, connection: AsyncConnection, states: Sequence[Change]) -> int:
        async with connection.cursor() as cursor:
            async with cursor.copy(self.statements.copy_staged) as stream:
                for state in states:
                    await stream.write_row((state.event.key, state.event.aggregate_version, *(state.row or ())))
            await cursor.execute(self.statements.upsert_from_staged)
            return cursor.rowcount

    async def _upsert_late(self, connection: AsyncConnection, states: Sequence[Change]) -> int:
        rows = 0
        for statement in self.statements.upsert_late if states else ():
            rows = (await connection.execute(statement, [*_arrays(states), self.replica])).rowcount
        return rows


def with_deletions(deleted: Deletions, changes: Sequence[Change]) -> Deletions:
    """Return the version of each key's newest deletion, those among `changes` included."""
    tombstones = dict(deleted)
    for change in changes:
        if change.row is None:
            tombstones[change.event.key] = max(change.event.aggregate_version, tombstones.get(change.event.key, 0))
    return tombstones


def _arrays(states: Sequence[Change]) -> list[list[str | None]]:
    """Return one array per column: keys, versions, then the row's own."""
    keys: list[str | None] = [state.event.key for state in states]
    versions: list[str | None] = [str(state.event.aggregate_version) for state in states]
    rows = zip(*(state.row or () for state in states), strict=True)
    return [keys, versions, *(list(column) for column in rows)]


def _is_large(folded: Sequence[Folded]) -> bool:
    if len(folded) >= COPY_FROM_ROWS:
        return True
    rows = (each.state.row or () for each in folded if each.state)
    return sum(len(text) for row in rows for text in row if text) >= COPY_FROM_CHARACTERS
