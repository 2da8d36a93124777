"""The journal in memory: the same answers as PostgreSQL, durable for as long as the object lives.

Several engines may share one. The clock is given, so that leases end when a test says so. Each method that would talk
to a database gives way to other tasks once, because code that relies on it not doing so would break on PostgreSQL.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence

import msgspec

from kompensa.journal.errors import JournalUnavailableError, NameTakenError, StaleLeaseError
from kompensa.journal.group_commit import BatchWriter, Write
from kompensa.journal.port import Topic
from kompensa.journal.records import (
    Acceptance,
    DefinitionRow,
    Grant,
    Lease,
    LogRow,
    ParticipantRow,
    SagaFilter,
    SagaRow,
    Signal,
    SignalKind,
    Transition,
)

_SHARDS = 32


class MemoryJournal:
    """See `Journal`. `fail_with` makes every call raise until it is None again."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.fail_with: JournalUnavailableError | None = None
        self._watchers: list[tuple[Topic, Callable[[], None]]] = []
        self.leases = _Leases(self, clock)
        self.sagas = _Sagas(self, clock)
        self.signals = _Signals(self)
        self.catalogue = _Catalogue(self)

    async def open(self) -> None:
        """See `Journal.open`."""

    async def close(self) -> None:
        """See `Journal.close`."""

    def watch(self, topic: Topic, changed: Callable[[], None]) -> None:
        """See `Journal.watch`."""
        self._watchers.append((topic, changed))

    async def answered(self) -> None:
        """Take a turn of the loop, as a round trip would, and fail if `fail_with` is set."""
        await asyncio.sleep(0)
        if self.fail_with is not None:
            raise self.fail_with

    def notify(self, topic: Topic) -> None:
        """Call the watchers of a topic."""
        for wanted, changed in self._watchers:
            if wanted == topic:
                changed()


class _Leases:
    def __init__(self, journal: MemoryJournal, clock: Callable[[], float]) -> None:
        self._journal = journal
        self._clock = clock
        self._epoch = 0
        self._engines: dict[str, tuple[int, float]] = {}
        self._owners: dict[int, str | None] = dict.fromkeys(range(_SHARDS))

    def held(self, lease: Lease) -> bool:
        return self._engines.get(lease.engine, (0, 0.0))[0] == lease.epoch

    def owns(self, lease: Lease, shard: int) -> bool:
        return self._owners.get(shard) == lease.engine

    async def join(self, engine: str, *, ttl: float, previous: Lease | None) -> Grant:
        await self._journal.answered()
        now = self._clock()
        held = self._engines.get(engine)
        ours = previous is None or held is None or held[0] == previous.epoch
        if held is not None and not ours and held[1] >= now:
            raise NameTakenError(f"another engine runs under the name {engine}")
        self._epoch += 1
        self._engines[engine] = (self._epoch, now + ttl)
        self._journal.notify("shards")
        return self._grant(Lease(engine, self._epoch), joined=True)

    async def renew(self, lease: Lease, *, ttl: float) -> Grant:
        await self._journal.answered()
        if not self.held(lease):
            raise StaleLeaseError(f"engine {lease.engine} no longer holds epoch {lease.epoch}")
        self._engines[lease.engine] = (lease.epoch, self._clock() + ttl)
        return self._grant(lease, joined=False)

    async def release(self, lease: Lease, shards: Collection[int]) -> None:
        await self._journal.answered()
        if self.held(lease):
            self._owners.update((shard, None) for shard in shards if self._owners[shard] == lease.engine)
        self._journal.notify("shards")

    async def leave(self, lease: Lease) -> None:
        await self._journal.answered()
        if self.held(lease):
            await self.release(lease, [shard for shard, owner in self._owners.items() if owner == lease.engine])
            del self._engines[lease.engine]

    def _grant(self, lease: Lease, *, joined: bool) -> Grant:
        fenced = [n for n, (_, end) in self._engines.items() if end < self._clock() and n != lease.engine]
        for name in fenced:
            del self._engines[name]
        self._owners.update((s, None) for s, owner in self._owners.items() if owner not in self._engines)
        fair = -(-_SHARDS // len(self._engines))
        mine = {shard for shard, owner in self._owners.items() if owner == lease.engine}
        free = [shard for shard, owner in self._owners.items() if owner is None]
        taken = set(free[: max(0, fair - len(mine))])
        self._owners.update((shard, lease.engine) for shard in taken)
        shards = frozenset(mine | taken)
        return Grant(
            lease=lease,
            shards=shards,
            gained=shards if joined else frozenset(taken),
            surplus=max(0, len(shards) - fair),
            fenced=tuple(fenced),
        )


class _Writer:
    def __init__(self, journal: MemoryJournal, lease: Lease) -> None:
        self._journal = journal
        self._lease = lease

    async def write(self, batch: Sequence[Write], *, repeated: bool) -> frozenset[str]:
        await self._journal.answered()
        if not self._journal.leases.held(self._lease):
            raise StaleLeaseError(f"engine {self._lease.engine} no longer holds epoch {self._lease.epoch}")
        return frozenset(
            write.row.id if isinstance(write, Acceptance) else write.id
            for write in batch
            if not self._written(write) and not (repeated and self._is_there(write))
        )

    def _written(self, write: Write) -> bool:
        sagas = self._journal.sagas
        if isinstance(write, Acceptance):
            return sagas.accept(write, self._lease.epoch)
        row = sagas.row(write.id)
        if row is None or not self._journal.leases.owns(self._lease, row.shard):
            return False
        return sagas.move(row, write, self._lease.epoch)

    def _is_there(self, write: Write) -> bool:
        saga_id, version = (
            (write.row.id, write.row.version) if isinstance(write, Acceptance) else (write.id, write.version)
        )
        return self._journal.sagas.stands_at(saga_id, version, self._lease.epoch)


class _Sagas:
    def __init__(self, journal: MemoryJournal, clock: Callable[[], float]) -> None:
        self._journal = journal
        self._clock = clock
        self._rows: dict[str, SagaRow] = {}
        self._logs: dict[str, list[LogRow]] = {}

    def writer(self, lease: Lease) -> BatchWriter:
        return _Writer(self._journal, lease)

    def accept(self, write: Acceptance, epoch: int) -> bool:
        row = write.row
        if row.id in self._rows or self._by_key(row.namespace, row.definition, row.idempotency_key) is not None:
            return False
        self._rows[row.id] = msgspec.structs.replace(row, epoch=epoch)
        self._logs[row.id] = [LogRow(row.version, epoch, write.log)]
        return True

    def row(self, saga_id: str) -> SagaRow | None:
        return self._rows.get(saga_id)

    def move(self, row: SagaRow, write: Transition, epoch: int) -> bool:
        if row.version >= write.version or (row.finished_at is not None and row.phase != write.phase):
            return False
        self._rows[write.id] = msgspec.structs.replace(
            row,
            version=write.version,
            epoch=epoch,
            phase=write.phase,
            settled=write.settled,
            state=write.state,
            finished_at=write.finished_at,
            expires_at=write.expires_at,
        )
        self._logs[write.id].append(LogRow(write.version, epoch, write.log))
        self._journal.signals.answer(write.signals)
        return True

    def stands_at(self, saga_id: str, version: int, epoch: int) -> bool:
        row = self._rows.get(saga_id)
        return row is not None and (row.version, row.epoch) == (version, epoch)

    def _by_key(self, namespace: str, definition: str, key: str | None) -> SagaRow | None:
        wanted = (namespace, definition, key)
        rows = self._rows.values() if key is not None else ()
        return next((row for row in rows if (row.namespace, row.definition, row.idempotency_key) == wanted), None)

    async def unsettled(self, shards: Collection[int], *, after: str | None, limit: int) -> list[SagaRow]:
        await self._journal.answered()
        rows = sorted(self._rows.values(), key=lambda row: row.id)
        return [r for r in rows if not r.settled and r.shard in shards and r.id > (after or "")][:limit]

    async def find(self, saga_id: str) -> SagaRow | None:
        await self._journal.answered()
        return self._rows.get(saga_id)

    async def find_by_key(self, namespace: str, definition: str, idempotency_key: str) -> SagaRow | None:
        await self._journal.answered()
        return self._by_key(namespace, definition, idempotency_key)

    async def page(self, wanted: SagaFilter) -> list[SagaRow]:
        await self._journal.answered()
        rows = sorted(self._rows.values(), key=lambda row: (row.created_at, row.id), reverse=True)
        last = self._rows.get(wanted.after or "")
        return [
            row
            for row in rows
            if wanted.namespace in (None, row.namespace)
            and wanted.name in (None, row.name)
            and wanted.phase in (None, row.phase)
            and wanted.definition in (None, row.definition)
            and (wanted.source is None or (row.object_uid is not None) == (wanted.source == "object"))
            and (wanted.active is None or (row.finished_at is None) == wanted.active)
            and (wanted.after is None or last is not None)
            and (last is None or (row.created_at, row.id) < (last.created_at, last.id))
        ][: wanted.limit]

    async def log(self, saga_id: str) -> list[LogRow]:
        await self._journal.answered()
        return list(self._logs.get(saga_id, ()))

    async def parked(self, shards: Collection[int]) -> int:
        await self._journal.answered()
        return sum(1 for row in self._rows.values() if row.phase == "InterventionRequired" and row.shard in shards)

    async def prune(self, *, limit: int) -> int:
        await self._journal.answered()
        now = self._clock()
        ends = {r.id: r.expires_at for r in self._rows.values() if r.settled and r.expires_at is not None}
        over = sorted((saga_id for saga_id, end in ends.items() if end < now), key=lambda saga_id: ends[saga_id])
        for saga_id in over[:limit]:
            del self._rows[saga_id], self._logs[saga_id]
        return len(over[:limit])


class _Signals:
    def __init__(self, journal: MemoryJournal) -> None:
        self._journal = journal
        self._next = 0
        self._asked: dict[int, Signal] = {}

    def answer(self, ids: Collection[int]) -> None:
        for number in ids:
            self._asked.pop(number, None)

    async def ask(self, saga_id: str, kind: SignalKind, reason: str, *, generation: int | None = None) -> None:
        await self._journal.answered()
        self._next += 1
        self._asked[self._next] = Signal(self._next, saga_id, kind, reason, generation)
        self._journal.notify("signals")

    async def asked(self, shards: Collection[int], *, after: int = 0, limit: int = 1000) -> list[Signal]:
        await self._journal.answered()
        found = [(signal, await self._journal.sagas.find(signal.saga_id)) for signal in list(self._asked.values())]
        mine = [signal for signal, row in found if row is not None and row.shard in shards]
        return [signal for signal in mine if signal.id > after][:limit]

    async def withdraw(self, ids: Collection[int]) -> None:
        await self._journal.answered()
        self.answer(ids)


class _Catalogue:
    def __init__(self, journal: MemoryJournal) -> None:
        self._journal = journal
        self._participants: dict[tuple[str, str], ParticipantRow] = {}
        self._definitions: dict[tuple[str, str, str], DefinitionRow] = {}

    async def participants(self) -> list[ParticipantRow]:
        await self._journal.answered()
        return list(self._participants.values())

    async def put_participant(self, row: ParticipantRow) -> None:
        await self._journal.answered()
        self._participants[row.namespace, row.name] = row
        self._journal.notify("catalogue")

    async def delete_participant(self, namespace: str, name: str, *, object_uid: str | None = None) -> bool:
        await self._journal.answered()
        row = self._participants.get((namespace, name))
        if row is None or object_uid not in (None, row.object_uid):
            return False
        del self._participants[namespace, name]
        self._journal.notify("catalogue")
        return True

    async def definitions(self) -> list[DefinitionRow]:
        await self._journal.answered()
        return self._current()

    async def definition(self, namespace: str, name: str, revision: str) -> DefinitionRow | None:
        await self._journal.answered()
        return self._definitions.get((namespace, name, revision))

    async def put_definition(self, row: DefinitionRow, *, instead_of: str | None = None) -> bool:
        await self._journal.answered()
        current = [old for old in self._current() if (old.namespace, old.name) == (row.namespace, row.name)]
        expected = (instead_of, row.object_uid)
        if instead_of is not None and [(old.revision, old.object_uid) for old in current] != [expected]:
            return False
        self._retire(current)
        self._definitions[row.namespace, row.name, row.revision] = row
        self._journal.notify("catalogue")
        return True

    async def delete_definition(self, namespace: str, name: str, *, object_uid: str | None = None) -> bool:
        await self._journal.answered()
        found = [
            row
            for row in self._current()
            if (row.namespace, row.name) == (namespace, name) and object_uid in (None, row.object_uid)
        ]
        self._retire(found)
        self._journal.notify("catalogue")
        return bool(found)

    def _current(self) -> list[DefinitionRow]:
        return [row for row in self._definitions.values() if row.current]

    def _retire(self, rows: Sequence[DefinitionRow]) -> None:
        for row in rows:
            key = (row.namespace, row.name, row.revision)
            self._definitions[key] = msgspec.structs.replace(row, current=False)
