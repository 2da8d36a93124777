"""From the journal's rows to sagas in memory: at the start, after a hand-over, and for one that is asked for.

A row is taken into memory before the next one is read, so that none is taken from an outdated reading.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Set

import structlog

from kompensa.engine.declarations import Declarations
from kompensa.engine.held_lease import HeldLease
from kompensa.engine.metrics import RECOVERED
from kompensa.engine.running_saga import RunningSaga
from kompensa.engine.saga_rows import stored_saga
from kompensa.engine.saga_table import SagaTable
from kompensa.journal.errors import JournalError, JournalUnavailableError, StaleLeaseError
from kompensa.journal.port import Journal
from kompensa.journal.records import SagaRow, Signal
from kompensa.model.saga import TERMINAL

_log = structlog.get_logger(__name__)
_BATCH = 500
_RETRY_SECONDS = 0.5


class Recovery:
    """Reads the sagas of a lease's shards into the table.

    `recovered`, where a method takes it, is called with each saga that has entered the table, in the same turn of the
    event loop: nothing can reach the saga before.
    """

    def __init__(self, journal: Journal, declarations: Declarations, held: HeldLease, sagas: SagaTable) -> None:
        self._journal = journal
        self._declarations = declarations
        self._held = held
        self._sagas = sagas
        self._reading = asyncio.Lock()
        self.unread: frozenset[int] = frozenset()
        """Shards of which not every saga is in memory yet. They cannot be handed over."""

    def expect(self, shards: Set[int]) -> None:
        """Count these shards as unread until `load` has read them."""
        self.unread |= shards

    async def load(self, shards: Set[int], recovered: Callable[[RunningSaga], None]) -> None:
        """Read all unsettled sagas of these shards, in batches, however long the journal is away."""
        after: str | None = None
        count = 0
        while True:
            try:
                rows, entered = await self._load_batch(shards, after, recovered)
            except StaleLeaseError:
                raise
            except JournalError as error:
                _log.warning("recovery waits for the journal", error=str(error))
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            count += entered
            if len(rows) < _BATCH:
                break
            after = rows[-1].id
        self.unread -= shards
        if count:
            RECOVERED.inc(count)
            _log.info("sagas recovered", count=count, shards=len(shards))

    async def reload(self, saga_id: str, recovered: Callable[[RunningSaga], None]) -> None:
        """Read one unsettled saga of our shards, unless it is in memory."""
        while True:
            try:
                async with self._reading:
                    row = await self._journal.sagas.find(saga_id)
                    if row is not None and not row.settled and row.shard in self._held.shards:
                        await self._recover(row, recovered)
            except StaleLeaseError:
                raise
            except JournalError:
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                return

    async def for_signal(self, signal: Signal) -> RunningSaga | None:
        """The saga that a signal is for. A parked saga has left memory and is read again.

        A signal for a saga that has ended, or is gone, is withdrawn. None if the saga is not ours or cannot be read.
        """
        async with self._reading:
            running = self._sagas.get(signal.saga_id)
            if running is not None:
                return running
            row = await self._journal.sagas.find(signal.saga_id)
            if row is None or (row.settled and row.phase in TERMINAL):
                await self._journal.signals.withdraw([signal.id])
            elif row.settled and row.shard in self._held.shards:
                await self._enter(row)
            return self._sagas.get(signal.saga_id)

    async def _load_batch(
        self, shards: Set[int], after: str | None, recovered: Callable[[RunningSaga], None]
    ) -> tuple[list[SagaRow], int]:
        """Read the next rows, and count those that entered."""
        count = 0
        async with self._reading:
            rows = await self._journal.sagas.unsettled(frozenset(shards), after=after, limit=_BATCH)
            for row in rows:
                count += await self._recover(row, recovered)
                await asyncio.sleep(0)  # the lease is renewed on the same event loop
        return rows, count

    async def _recover(self, row: SagaRow, recovered: Callable[[RunningSaga], None]) -> bool:
        running = None if row.id in self._sagas else await self._enter(row)
        if running is None:
            return False
        recovered(running)
        return True

    async def _enter(self, row: SagaRow) -> RunningSaga | None:
        """Put the saga of a row into the table; None if it cannot be read, or must not enter any more."""
        try:
            stored = stored_saga(row)
            definition = await self._declarations.revision(row.namespace, row.definition, stored.saga.revision)
            running = RunningSaga.recovered(row, stored, definition)
        except JournalUnavailableError:
            raise
        except Exception:
            # One row that cannot be read must not keep all the others from going on.
            _log.exception("a saga cannot be recovered", saga=row.id)
            return None
        if row.id in self._sagas or row.shard not in self._held.shards:
            return None  # a moment ago it was started again under its id, or its shard was handed over
        self._sagas.enter(running)
        return running
