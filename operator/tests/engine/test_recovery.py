"""From the journal's rows to sagas in memory, without an engine."""

import asyncio
from typing import Self

import msgspec
import pytest

from kompensa.engine import recovery
from kompensa.engine.declarations import Declarations
from kompensa.engine.held_lease import HeldLease
from kompensa.engine.recovery import Recovery
from kompensa.engine.running_saga import RunningSaga
from kompensa.engine.saga_table import SagaTable
from kompensa.journal.errors import JournalUnavailableError, StaleLeaseError
from kompensa.journal.records import Signal
from kompensa.model.events import Replied
from kompensa.model.outcomes import Direction, Outcome
from tests.support.engine_world import NAMESPACE, definition_spec
from tests.support.journal_link import JournalLink
from tests.support.memory_journal import MemoryJournal
from tests.support.running_sagas import a_saga
from tests.support.virtual_time import START, wall_clock

ALL = frozenset(range(32))
DONE = Replied(step=0, direction=Direction.ACTION, attempt=1, outcome=Outcome.SUCCEEDED, reply={})
WRONG = msgspec.structs.replace(DONE, outcome=Outcome.MISCONFIGURED)


class Desk:
    """A journal with sagas, and a recovery that reads them. `recovered` are those that were handed on."""

    def __init__(self) -> None:
        self.journal = MemoryJournal(wall_clock)
        self.link = JournalLink(self.journal)
        self.declarations = Declarations(self.link.catalogue)
        self.table = SagaTable()
        self.recovered: list[RunningSaga] = []

    @classmethod
    async def ready(cls) -> Self:
        desk = cls()
        grant = await desk.journal.leases.join("one", ttl=3600.0, previous=None)
        desk.held = HeldLease(grant, valid_until=3600.0)
        desk.recovery = Recovery(desk.link, desk.declarations, desk.held, desk.table)
        participant = {"url": "http://stub", "idempotency": "Keyed", "timeout": "2s"}
        await desk.declarations.put_participant(NAMESPACE, "stub", participant, None)
        await desk.declarations.put_definition(NAMESPACE, "order", definition_spec("reserve"))
        return desk

    held: HeldLease
    recovery: Recovery

    async def write(self, *replies: Replied, shard: int = 0) -> str:
        """A saga in the journal, after these replies."""
        running = a_saga(shard=shard, definition=self.declarations.current(NAMESPACE, "order"))
        for reply in replies:
            running.advance(reply, START + 1)
        await self.journal.sagas.writer(self.held.lease).write([running.acceptance(3600.0)], repeated=False)
        return running.saga.id

    def note(self, running: RunningSaga) -> None:
        assert self.table.holds(running), "it was handed on before it was in memory"
        self.recovered.append(running)

    async def load(self) -> None:
        await self.recovery.load(ALL, self.note)

    @property
    def ids(self) -> set[str]:
        return {running.saga.id for running in self.recovered}


@pytest.mark.parametrize("batch", [1, 3, 500])
async def test_all_unsettled_sagas_enter_memory_and_are_handed_on_once(
    batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "_BATCH", batch)
    desk = await Desk.ready()
    unsettled = {await desk.write(shard=shard) for shard in range(7)}
    await desk.write(DONE)
    await desk.load()
    assert desk.ids == unsettled
    assert len(desk.recovered) == len(desk.table) == 7


async def test_shards_are_unread_until_all_of_them_is_in_memory() -> None:
    desk = await Desk.ready()
    await desk.write()
    desk.recovery.expect(ALL)
    desk.link.fail_with = JournalUnavailableError("away")
    loading = asyncio.create_task(desk.load())
    await asyncio.sleep(10)
    assert desk.recovery.unread == ALL
    desk.link.fail_with = None
    await loading
    assert (desk.recovery.unread, len(desk.recovered)) == (frozenset(), 1)


async def test_a_lost_lease_ends_the_reading() -> None:
    desk = await Desk.ready()
    desk.link.fail_with = StaleLeaseError("epoch 1 is over")
    with pytest.raises(StaleLeaseError):
        await desk.load()
    with pytest.raises(StaleLeaseError):
        await desk.recovery.reload("saga", desk.note)


async def test_a_saga_that_is_in_memory_is_not_read_over() -> None:
    desk = await Desk.ready()
    saga = await desk.write()
    await desk.load()
    await desk.load()
    await desk.recovery.reload(saga, desk.note)
    assert len(desk.recovered) == 1


async def test_a_saga_of_a_shard_that_was_handed_over_does_not_enter() -> None:
    desk = await Desk.ready()
    saga = await desk.write(shard=5)
    desk.held.part_with({5})
    await desk.load()
    await desk.recovery.reload(saga, desk.note)
    assert desk.recovered == []


async def test_a_saga_whose_shard_is_handed_over_while_its_row_is_read_does_not_enter() -> None:
    desk = await Desk.ready()
    saga = await desk.write(shard=5)

    async def hand_over(question: str) -> None:
        if question == "sagas.find":
            desk.held.part_with({5})

    desk.link.after = hand_over
    await desk.recovery.reload(saga, desk.note)
    assert desk.recovered == []


async def test_a_row_that_cannot_be_read_does_not_keep_the_others() -> None:
    desk = await Desk.ready()
    broken, whole = await desk.write(), await desk.write()
    rows = desk.journal.sagas._rows
    rows[broken] = msgspec.structs.replace(rows[broken], state="{}")
    await desk.load()
    assert desk.ids == {whole}


async def test_one_saga_is_reloaded_however_long_the_journal_is_away() -> None:
    desk = await Desk.ready()
    saga = await desk.write()
    desk.link.fail_with = JournalUnavailableError("away")
    reloading = asyncio.create_task(desk.recovery.reload(saga, desk.note))
    await asyncio.sleep(10)
    desk.link.fail_with = None
    await reloading
    assert desk.ids == {saga}


def signal_for(saga: str) -> Signal:
    return Signal(id=1, saga_id=saga, kind="resume", reason="")


async def test_a_signal_brings_a_parked_saga_back_into_memory() -> None:
    desk = await Desk.ready()
    saga = await desk.write(WRONG)
    found = await desk.recovery.for_signal(signal_for(saga))
    assert found is not None
    assert (found.saga.id, found is desk.table.get(saga)) == (saga, True)
    assert found is await desk.recovery.for_signal(signal_for(saga))


@pytest.mark.parametrize("known", [True, False])
async def test_a_signal_that_came_too_late_is_withdrawn(known: bool) -> None:
    desk = await Desk.ready()
    saga = await desk.write(DONE)
    await desk.journal.signals.ask(saga, "cancel", "")
    [signal] = await desk.journal.signals.asked(ALL)
    if not known:
        signal = msgspec.structs.replace(signal, saga_id="gone")
    assert await desk.recovery.for_signal(signal) is None
    assert await desk.journal.signals.asked(ALL) == []


async def test_a_signal_for_an_unsettled_saga_that_is_not_in_memory_yet_waits() -> None:
    desk = await Desk.ready()
    saga = await desk.write()
    await desk.journal.signals.ask(saga, "cancel", "")
    [signal] = await desk.journal.signals.asked(ALL)
    assert await desk.recovery.for_signal(signal) is None
    assert await desk.journal.signals.asked(ALL) == [signal]
