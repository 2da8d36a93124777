"""The journal's contract, sagas: the same tests for memory and for PostgreSQL."""

import asyncio
import time

import pytest

from kompensa.journal.errors import StaleLeaseError
from kompensa.journal.group_commit import Write
from kompensa.journal.port import Journal
from kompensa.journal.records import SagaFilter
from tests.integration.conftest_engine import Journals
from tests.support.journal_rows import acceptance, ended, joined, new_id, transition, written

pytestmark = pytest.mark.parametrize("journals", ["memory", "postgres"], indirect=True)


async def test_a_saga_is_found_as_it_was_written(journal: Journal) -> None:
    lease = await joined(journal)
    first = acceptance(idempotency_key="cart-1", object_uid=new_id(), created_at=1_800_000_000.25)
    assert await written(journal, lease, first) == frozenset()
    row = await journal.sagas.find(first.row.id)
    assert row is not None
    assert (row.idempotency_key, row.object_uid) == ("cart-1", first.row.object_uid)
    assert (row.created_at, row.epoch, row.version) == (1_800_000_000.25, lease.epoch, 1)
    assert (row.origin, row.state) == (first.row.origin, first.row.state)
    assert (row.finished_at, row.expires_at) == (None, None)


async def test_a_later_write_takes_the_place_of_the_state_and_adds_to_the_log(journal: Journal) -> None:
    lease = await joined(journal)
    first = acceptance()
    saga = first.row.id
    await written(journal, lease, first)
    await written(journal, lease, transition(saga))
    await written(journal, lease, ended(saga, 3))
    row = await journal.sagas.find(saga)
    assert row is not None
    assert (row.version, row.phase, row.settled, row.state) == (3, "Succeeded", True, '{"step":3}')
    log = await journal.sagas.log(saga)
    assert [(entry.version, entry.epoch) for entry in log] == [(1, lease.epoch), (2, lease.epoch), (3, lease.epoch)]
    assert [entry.entries for entry in log][1:] == ['[{"kind":"Step2"}]', '[{"kind":"Step3"}]']


async def test_first_and_later_writes_of_many_sagas_are_one_batch(journal: Journal) -> None:
    lease = await joined(journal)
    old = [acceptance() for _ in range(5)]
    await written(journal, lease, *old)
    new = [acceptance() for _ in range(5)]
    assert await written(journal, lease, *new, *(transition(write.row.id) for write in old)) == frozenset()
    assert len(await journal.sagas.page(SagaFilter())) == 10


@pytest.mark.parametrize("text", ["Grüße 🎈", '{"a":"\\u0000"}', '{"n":123456789012345678901234567890}'])
async def test_a_state_is_kept_to_the_letter(journal: Journal, text: str) -> None:
    lease = await joined(journal)
    state = text if text.startswith("{") else f'{{"a":"{text}"}}'
    first = acceptance(state=state)
    await written(journal, lease, first)
    row = await journal.sagas.find(first.row.id)
    assert row is not None
    assert row.state == state


async def test_an_id_that_exists_is_not_written_again(journal: Journal) -> None:
    lease = await joined(journal)
    first = acceptance()
    await written(journal, lease, first)
    again, other = acceptance(first.row.id, state='{"other":1}'), acceptance()
    assert await written(journal, lease, again, other) == {first.row.id}
    row = await journal.sagas.find(first.row.id)
    assert row is not None
    assert row.state == first.row.state
    assert await journal.sagas.find(other.row.id) is not None
    assert len(await journal.sagas.log(first.row.id)) == 1


async def test_a_key_that_exists_is_not_written_again_in_its_definition(journal: Journal) -> None:
    lease = await joined(journal)
    first = acceptance(idempotency_key="cart-1")
    await written(journal, lease, first)
    same = acceptance(idempotency_key="cart-1")
    elsewhere = acceptance(idempotency_key="cart-1", namespace="bank")
    otherwise = acceptance(idempotency_key="cart-1", definition="other")
    assert await written(journal, lease, same, elsewhere, otherwise) == {same.row.id}
    found = await journal.sagas.find_by_key("shop", "order", "cart-1")
    assert found is not None
    assert found.id == first.row.id
    assert await journal.sagas.find_by_key("shop", "order", "cart-2") is None


async def test_of_two_with_one_key_in_one_batch_one_is_written(journal: Journal) -> None:
    lease = await joined(journal)
    pair = [acceptance(idempotency_key="cart-1") for _ in range(2)]
    missing = await written(journal, lease, *pair)
    assert len(missing) == 1
    assert missing < {write.row.id for write in pair}


async def test_a_version_is_written_once_and_never_an_older_one(journal: Journal) -> None:
    lease = await joined(journal)
    first = acceptance()
    saga = first.row.id
    await written(journal, lease, first, acceptance())
    await written(journal, lease, transition(saga, 5))
    for version in (5, 4):
        assert await written(journal, lease, transition(saga, version, state='{"late":1}')) == {saga}
    row = await journal.sagas.find(saga)
    assert row is not None
    assert row.state == '{"step":5}'
    assert [entry.version for entry in await journal.sagas.log(saga)] == [1, 5]


async def test_a_transition_of_a_saga_that_is_not_there_is_not_written(journal: Journal) -> None:
    lease = await joined(journal)
    stranger = new_id()
    assert await written(journal, lease, transition(stranger)) == {stranger}
    assert await journal.sagas.log(stranger) == []


async def test_a_batch_that_had_been_written_without_our_hearing_of_it_is_recognised(journal: Journal) -> None:
    lease = await joined(journal)
    old, taken = acceptance(), acceptance(idempotency_key="cart-1")
    await written(journal, lease, old, taken)
    refused = acceptance(idempotency_key="cart-1")
    batch = (acceptance(), refused, transition(old.row.id))
    writer = journal.sagas.writer(lease)
    assert await writer.write(batch, repeated=False) == {refused.row.id}
    assert await writer.write(batch, repeated=True) == {refused.row.id}
    assert [entry.version for entry in await journal.sagas.log(old.row.id)] == [1, 2]


async def test_a_write_of_an_older_lease_does_not_count_as_a_repetition(journal: Journal) -> None:
    first = acceptance()
    await written(journal, await joined(journal), first)
    lease = await joined(journal)
    writer = journal.sagas.writer(lease)
    assert await writer.write([acceptance(first.row.id)], repeated=True) == {first.row.id}


async def test_a_stale_lease_writes_nothing(journal: Journal) -> None:
    stale = await joined(journal)
    first = acceptance()
    saga = first.row.id
    await written(journal, stale, first)
    lease = await joined(journal)
    await journal.signals.ask(saga, "cancel", "")
    (signal,) = await journal.signals.asked([0])
    batches: list[list[Write]] = [[acceptance()], [transition(saga, signals=(signal.id,))]]
    for batch in [*batches, batches[0] + batches[1]]:
        for repeated in (False, True):
            with pytest.raises(StaleLeaseError):
                await journal.sagas.writer(stale).write(batch, repeated=repeated)
    assert [row.id for row in await journal.sagas.page(SagaFilter())] == [saga]
    assert [entry.version for entry in await journal.sagas.log(saga)] == [1]
    assert await journal.signals.asked([0]) == [signal]
    assert await written(journal, lease, transition(saga)) == frozenset()


async def test_a_saga_of_a_shard_that_was_given_away_is_its_new_owners_only(journal: Journal) -> None:
    former = await joined(journal, "one")
    saga = acceptance(shard=0)
    await written(journal, former, saga)
    grant = await journal.leases.join("two", ttl=60.0, previous=None)
    await journal.leases.release(former, [0])
    grant = await journal.leases.renew(grant.lease, ttl=60.0)
    assert 0 in grant.gained
    assert await written(journal, former, transition(saga.row.id)) == {saga.row.id}
    assert await written(journal, grant.lease, transition(saga.row.id)) == frozenset()


async def test_an_ended_saga_stays_as_it_ended(journal: Journal) -> None:
    lease = await joined(journal)
    first = acceptance()
    saga = first.row.id
    await written(journal, lease, first)
    await written(journal, lease, ended(saga, settled=False))
    assert await written(journal, lease, transition(saga, 3)) == {saga}
    assert await written(journal, lease, ended(saga, 4, phase="Compensated")) == {saga}
    assert await written(journal, lease, ended(saga, 5)) == frozenset()  # its object says so now
    row = await journal.sagas.find(saga)
    assert row is not None
    assert (row.phase, row.settled) == ("Succeeded", True)


async def test_a_new_owner_loads_the_unsettled_sagas_of_its_shards_by_id(journal: Journal) -> None:
    lease = await joined(journal)
    writes = [acceptance(shard=number % 4) for number in range(20)]
    await written(journal, lease, *writes)
    settled = writes[0].row.id
    await written(journal, lease, ended(settled))
    wanted = sorted(write.row.id for write in writes[1:] if write.row.shard in (0, 1))
    found: list[str] = []
    after: str | None = None
    while rows := await journal.sagas.unsettled([0, 1], after=after, limit=3):
        found += [row.id for row in rows]
        after = rows[-1].id
    assert found == wanted
    assert await journal.sagas.unsettled([], after=None, limit=3) == []


async def test_sagas_that_wait_for_a_person_are_counted_by_shard(journal: Journal) -> None:
    lease = await joined(journal)
    writes = [acceptance(shard=number) for number in range(3)]
    await written(journal, lease, *writes)
    await written(journal, lease, *(transition(w.row.id, phase="InterventionRequired", settled=True) for w in writes))
    assert await journal.sagas.parked([0, 1]) == 2


async def test_settled_sagas_are_pruned_after_their_time_the_oldest_first(journal: Journal) -> None:
    lease = await joined(journal)
    writes = [acceptance() for _ in range(5)]
    await written(journal, lease, *writes)
    older, oldest, kept, unsettled, running = [write.row.id for write in writes]
    await written(
        journal,
        lease,
        ended(older, expires_in=-10),
        ended(oldest, expires_in=-20),
        ended(kept),
        ended(unsettled, expires_in=-30, settled=False),
    )
    assert await journal.sagas.prune(limit=1) == 1
    assert await journal.sagas.find(oldest) is None
    assert await journal.sagas.log(oldest) == []
    assert await journal.sagas.prune(limit=100) == 1
    assert await journal.sagas.prune(limit=100) == 0
    assert {row.id for row in await journal.sagas.page(SagaFilter())} == {kept, unsettled, running}


async def test_pages_follow_each_other_newest_first(journal: Journal) -> None:
    lease = await joined(journal)
    now = time.time()
    writes = [acceptance(created_at=now - number // 2) for number in range(9)]
    await written(journal, lease, *writes)
    seen: list[str] = []
    after: str | None = None
    while rows := await journal.sagas.page(SagaFilter(after=after, limit=2)):
        seen += [row.id for row in rows]
        after = rows[-1].id
    assert len(seen) == len(set(seen)) == 9
    times = [row.created_at for row in await journal.sagas.page(SagaFilter())]
    assert times == sorted(times, reverse=True)
    assert await journal.sagas.page(SagaFilter(after=new_id())) == []


async def test_filters_are_kept_together(journal: Journal) -> None:
    lease = await joined(journal)
    plain, other = acceptance(), acceptance(namespace="bank", definition="pay")
    born = acceptance(object_uid=new_id(), name="order-1")
    await written(journal, lease, plain, born, other)
    await written(journal, lease, ended(plain.row.id))

    async def ids(**wanted: object) -> set[str]:
        return {row.id for row in await journal.sagas.page(SagaFilter(**wanted))}  # type: ignore[arg-type]  # as given

    assert await ids(namespace="bank") == {other.row.id}
    assert await ids(definition="order", source="object") == {born.row.id}
    assert await ids(source="api") == {plain.row.id, other.row.id}
    assert await ids(active=True) == {born.row.id, other.row.id}
    assert await ids(active=False, phase="Succeeded") == {plain.row.id}
    assert await ids(phase="Compensated") == set()
    assert await ids(name="order-1") == {born.row.id}
    assert await ids(name="order-1", namespace="bank") == set()


async def test_writers_at_the_same_time_take_a_key_once(journals: Journals, journal: Journal) -> None:
    second = journals()
    await second.open()
    leases = await joined(journal, "one"), await joined(second, "two")
    for number in range(20):
        pair = [acceptance(idempotency_key=f"cart-{number}") for _ in leases]
        missing = await asyncio.gather(
            written(journal, leases[0], pair[0]),
            written(second, leases[1], pair[1]),
        )
        assert sorted(len(found) for found in missing) == [0, 1]
