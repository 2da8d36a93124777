"""A lease from its grant to its end: permission to act, shards for new sagas, and shards that others should have."""

import asyncio
from collections import Counter

import pytest

from kompensa.engine.errors import NotReadyError
from kompensa.engine.held_lease import HeldLease
from kompensa.journal.errors import StaleLeaseError
from kompensa.journal.records import Grant, Lease

TTL = 5.0


def grant(*shards: int, surplus: int = 0) -> Grant:
    return Grant(lease=Lease("one", 1), shards=frozenset(shards), gained=frozenset(), surplus=surplus)


async def test_permission_is_given_at_once_while_the_lease_surely_holds() -> None:
    async with asyncio.timeout(TTL / 2):
        await HeldLease(grant(0), valid_until=TTL).permitted()


async def test_permission_waits_for_a_renewal_after_the_lease_may_have_ended() -> None:
    held = HeldLease(grant(0), valid_until=TTL)
    await asyncio.sleep(TTL)
    asked = asyncio.create_task(held.permitted())
    await asyncio.sleep(60)
    assert not asked.done()
    held.renew(grant(0), 60 + 2 * TTL)
    await asyncio.wait_for(asked, 1.0)


async def test_a_renewal_that_came_too_late_permits_nothing() -> None:
    held = HeldLease(grant(0), valid_until=TTL)
    await asyncio.sleep(TTL + 1)
    asked = asyncio.create_task(held.permitted())
    await asyncio.sleep(0)
    held.renew(grant(0), TTL)
    await asyncio.sleep(60)
    assert not asked.done()
    asked.cancel()


async def test_the_end_refuses_those_that_wait_for_permission_and_those_that_come() -> None:
    held = HeldLease(grant(0), valid_until=0.0)
    asked = asyncio.create_task(held.permitted())
    await asyncio.sleep(1)
    held.end(StaleLeaseError("epoch 1 is over"))
    for permission in (asked, held.permitted()):
        with pytest.raises(StaleLeaseError, match="epoch 1"):
            await permission
    assert held.ended


def test_new_sagas_go_to_each_shard_in_its_turn() -> None:
    held = HeldLease(grant(3, 5, 7), valid_until=TTL)
    assert Counter(held.open_shard() for _ in range(9)) == {3: 3, 5: 3, 7: 3}


def test_shards_that_others_should_have_take_no_new_saga() -> None:
    held = HeldLease(grant(1, 2, 3, 4), valid_until=TTL)
    held.renew(grant(1, 2, 3, 4, surplus=2), TTL)
    assert held.closing == {3, 4}
    assert {held.open_shard() for _ in range(8)} == {1, 2}
    held.part_with({3})
    assert held.shards == {1, 2, 4}


def test_a_renewal_without_surplus_opens_all_shards_again() -> None:
    held = HeldLease(grant(1, 2), valid_until=TTL)
    held.renew(grant(1, 2, surplus=1), TTL)
    held.renew(grant(1, 2), TTL)
    assert (held.closing, {held.open_shard() for _ in range(4)}) == (frozenset(), {1, 2})


def test_a_lease_without_shards_has_none_for_a_new_saga() -> None:
    with pytest.raises(NotReadyError):
        HeldLease(grant(), valid_until=TTL).open_shard()


def test_a_lease_that_takes_no_new_sagas_keeps_to_that_when_it_is_renewed() -> None:
    held = HeldLease(grant(1), valid_until=TTL)
    held.close()
    held.renew(grant(1), TTL)
    with pytest.raises(NotReadyError):
        held.open_shard()


def test_a_lease_that_is_over_has_no_shard_for_a_new_saga() -> None:
    held = HeldLease(grant(1), valid_until=TTL)
    held.end(StaleLeaseError("epoch 1 is over"))
    with pytest.raises(NotReadyError):
        held.open_shard()
