"""The journal's contract, leases, requests and declarations: the same tests for memory and for PostgreSQL."""

import asyncio

import pytest

from kompensa.journal.errors import NameTakenError, StaleLeaseError
from kompensa.journal.port import Journal
from kompensa.journal.records import DefinitionRow, ParticipantRow
from tests.integration.conftest_engine import Journals
from tests.support.journal_rows import acceptance, joined, new_id, transition, written
from tests.support.waiting import until

pytestmark = pytest.mark.parametrize("journals", ["memory", "postgres"], indirect=True)
ALL = frozenset(range(32))
BRIEFLY = 0.3


async def expired() -> None:
    """Until a lease of `BRIEFLY` has ended: leases end by the journal's own clock."""
    await asyncio.sleep(2 * BRIEFLY)


async def test_a_lone_engine_owns_every_shard(journal: Journal) -> None:
    grant = await journal.leases.join("one", ttl=60, previous=None)
    assert (grant.shards, grant.gained, grant.surplus, grant.fenced) == (ALL, ALL, 0, ())


async def test_an_engine_that_joins_gets_its_part_once_it_is_given_back(journal: Journal) -> None:
    one = await joined(journal, "one")
    two = (await journal.leases.join("two", ttl=60, previous=None)).lease
    grant = await journal.leases.renew(one, ttl=60)
    assert (len(grant.shards), grant.surplus) == (32, 16)
    await journal.leases.release(one, range(16))
    gained = await journal.leases.renew(two, ttl=60)
    assert gained.gained == gained.shards == frozenset(range(16))
    again = await journal.leases.renew(one, ttl=60)
    assert (again.shards, again.gained, again.surplus) == (ALL - gained.shards, frozenset(), 0)


async def test_no_shard_is_ever_owned_twice_or_lost(journal: Journal) -> None:
    leases = [await joined(journal, name) for name in ("one", "two", "three")]
    for _ in range(4):
        for lease in leases:
            grant = await journal.leases.renew(lease, ttl=60)
            surplus = sorted(grant.shards)[len(grant.shards) - grant.surplus :]
            await journal.leases.release(lease, surplus)
    owned = [(await journal.leases.renew(lease, ttl=60)).shards for lease in leases]
    assert sorted(shard for shards in owned for shard in shards) == sorted(ALL)
    assert max(len(shards) for shards in owned) == 11


async def test_an_engine_whose_lease_ended_is_fenced_before_its_shards_are_anyones(journal: Journal) -> None:
    dead = await joined(journal, "dead")
    alive = (await journal.leases.join("alive", ttl=60, previous=None)).lease
    await journal.leases.renew(dead, ttl=BRIEFLY)
    await expired()
    grant = await journal.leases.renew(alive, ttl=60)
    assert (grant.gained, grant.fenced) == (ALL, ("dead",))
    with pytest.raises(StaleLeaseError):
        await journal.leases.renew(dead, ttl=60)


async def test_an_epoch_is_never_given_twice(journal: Journal) -> None:
    epochs = [(await joined(journal, name)).epoch for name in ("one", "two", "one", "one", "two")]
    assert epochs == sorted(set(epochs))


async def test_a_process_that_starts_takes_the_shards_of_its_name_back_at_once(journal: Journal) -> None:
    former = await joined(journal, "one")
    await journal.leases.join("two", ttl=60, previous=None)
    grant = await journal.leases.join("one", ttl=60, previous=None)
    assert grant.gained == ALL
    with pytest.raises(StaleLeaseError):
        await journal.leases.renew(former, ttl=60)


async def test_a_process_that_lost_its_lease_does_not_take_it_from_a_living_namesake(journal: Journal) -> None:
    former = await joined(journal, "one")
    await joined(journal, "one")
    with pytest.raises(NameTakenError):
        await journal.leases.join("one", ttl=60, previous=former)


async def test_a_process_that_lost_its_lease_joins_again_once_its_namesake_is_gone(journal: Journal) -> None:
    former = await joined(journal, "one")
    await joined(journal, "one", ttl=BRIEFLY)
    await expired()
    assert (await journal.leases.join("one", ttl=60, previous=former)).gained == ALL


async def test_a_lease_that_ended_without_anybody_taking_it_can_be_prolonged(journal: Journal) -> None:
    lease = await joined(journal, ttl=BRIEFLY)
    await expired()
    assert (await journal.leases.renew(lease, ttl=60)).shards == ALL


async def test_an_engine_that_leaves_frees_its_shards_at_once(journal: Journal) -> None:
    one = await joined(journal, "one")
    two = (await journal.leases.join("two", ttl=60, previous=None)).lease
    await journal.leases.leave(one)
    assert (await journal.leases.renew(two, ttl=60)).gained == ALL
    with pytest.raises(StaleLeaseError):
        await written(journal, one, acceptance())


async def test_a_stale_lease_gives_nothing_away(journal: Journal) -> None:
    stale = await joined(journal, "one")
    lease = await joined(journal, "one")
    await journal.leases.release(stale, range(32))
    await journal.leases.leave(stale)
    assert (await journal.leases.renew(lease, ttl=60)).shards == ALL


async def test_engines_hear_of_shards_that_are_given_back_and_of_requests(journals: Journals, journal: Journal) -> None:
    other = journals()
    heard: list[str] = []
    other.watch("shards", lambda: heard.append("shards"))
    other.watch("signals", lambda: heard.append("signals"))
    other.watch("catalogue", lambda: heard.append("catalogue"))
    await other.open()
    await until(lambda: heard or journal is other, "the first look after connecting")
    heard.clear()
    lease = await joined(journal)
    await journal.leases.release(lease, [0])
    await until(lambda: "shards" in heard, "to hear of shards")
    await journal.signals.ask(new_id(), "cancel", "")
    await until(lambda: "signals" in heard, "to hear of a request")
    await journal.catalogue.put_participant(ParticipantRow(namespace="shop", name="stub", spec="{}"))
    await until(lambda: "catalogue" in heard, "to hear of a declaration")
    heard.clear()
    await journal.catalogue.delete_participant("shop", "stub")
    await until(lambda: "catalogue" in heard, "to hear of a deletion")


async def test_requests_are_brought_to_the_owner_of_the_shard_in_their_order(journal: Journal) -> None:
    lease = await joined(journal)
    mine, other = acceptance(shard=1), acceptance(shard=2)
    await written(journal, lease, mine, other)
    await journal.signals.ask(mine.row.id, "suspend", "why", generation=3)
    await journal.signals.ask(other.row.id, "cancel", "")
    await journal.signals.ask(mine.row.id, "resume", "")
    found = await journal.signals.asked([1])
    assert [(signal.kind, signal.reason, signal.generation) for signal in found] == [
        ("suspend", "why", 3),
        ("resume", "", None),
    ]


async def test_requests_are_seen_page_by_page(journal: Journal) -> None:
    lease = await joined(journal)
    saga = acceptance()
    await written(journal, lease, saga)
    for number in range(3):
        await journal.signals.ask(saga.row.id, "suspend", str(number))
    first = await journal.signals.asked([0], limit=2)
    rest = await journal.signals.asked([0], after=first[-1].id, limit=2)
    assert [[signal.reason for signal in page] for page in (first, rest)] == [["0", "1"], ["2"]]


async def test_a_request_is_answered_by_the_write_that_makes_its_effect_durable(journal: Journal) -> None:
    lease = await joined(journal)
    first = acceptance()
    await written(journal, lease, first)
    for kind in ("suspend", "resume"):
        await journal.signals.ask(first.row.id, kind, "")
    suspend, resume = await journal.signals.asked([0])
    await written(journal, lease, transition(first.row.id, signals=(suspend.id,)))
    assert await journal.signals.asked([0]) == [resume]
    await journal.signals.withdraw([resume.id])
    assert await journal.signals.asked([0]) == []


async def test_a_token_is_kept_with_its_participant(journal: Journal) -> None:
    row = ParticipantRow(namespace="shop", name="stub", spec='{"url":"http://x"}', token="t")
    await journal.catalogue.put_participant(ParticipantRow(namespace="shop", name="stub", spec="{}"))
    await journal.catalogue.put_participant(row)
    assert await journal.catalogue.participants() == [row]
    assert await journal.catalogue.delete_participant("shop", "stub")
    assert not await journal.catalogue.delete_participant("shop", "stub")


async def test_every_revision_stays_and_one_is_current(journal: Journal) -> None:
    catalogue = journal.catalogue
    for revision in ("r1", "r2", "r1"):
        spec = f'{{"of":"{revision}"}}'
        await catalogue.put_definition(DefinitionRow(namespace="shop", name="order", revision=revision, spec=spec))
    assert [row.revision for row in await catalogue.definitions()] == ["r1"]
    old = await catalogue.definition("shop", "order", "r2")
    assert old is not None
    assert (old.spec, old.current) == ('{"of":"r2"}', False)
    assert await catalogue.delete_definition("shop", "order")
    assert not await catalogue.delete_definition("shop", "order")
    assert await catalogue.definitions() == []
    assert await catalogue.definition("shop", "order", "r1") is not None
