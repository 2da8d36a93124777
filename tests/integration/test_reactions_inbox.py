"""Each event's handler runs once, in one transaction; a failing event is retried, parked, and keeps its key's order."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from psycopg import AsyncConnection

from kompensa_common.tracing import context_of_event
from kompensa_consumer import FencedError, SessionError
from kompensa_dev.postgres import Login
from kompensa_participant import Problem, ReceivedEvent, Refused, UnfitEventError
from kompensa_participant.barrier import Reply, Stored
from kompensa_participant.reactions import act, inbox, undo
from kompensa_participant.reactions.arrival import arrival_of
from kompensa_participant.reactions.consumer import ReactionsConsumer
from tests.support.pgbouncer import Mode

from .conftest_poolers import Pool
from .reaction_desk import ORDERED, SAGA, SECOND, TRACE, UNORDERED, Desk, Note, NoteRecord, desk, rows
from .reaction_desk import reactor as reactor_module


@pytest.fixture
async def reactor(database: Login) -> AsyncIterator[Desk]:
    async with desk(database) as opened:
        yield opened


async def test_an_event_its_change_and_its_own_event_are_committed_together(reactor: Desk) -> None:
    note = Note(key="a")
    assert await reactor.receive(note) == ["handled"]
    assert reactor.effects() == [("a", 1)]
    (published,) = rows(reactor.login, "SELECT * FROM outbox")
    place = context_of_event(TRACE.split("-")[1], str(note.id))
    assert (str(published["saga_id"]), published["traceparent"]) == (SAGA, place.traceparent)
    kept = reactor.row(note.id)
    assert (kept["state"], kept["attempts"], kept["value"], kept["headers"]) == ("Handled", 0, None, None)
    assert rows(reactor.login, "SELECT next_offset FROM reaction_offsets") == [{"next_offset": 1}]


async def test_a_duplicate_has_no_effect_wherever_it_comes_from(reactor: Desk) -> None:
    note = Note(key="a")
    assert await reactor.receive(note, note, replace(note, topic=SECOND)) == ["handled", "duplicate", "duplicate"]
    assert reactor.effects() == [("a", 1)]


async def test_a_worker_that_has_lost_its_partition_can_do_nothing(reactor: Desk) -> None:
    lost = await reactor.claim(ORDERED)
    await reactor.claim(ORDERED)
    with pytest.raises(FencedError):
        await reactor.writer.write(reactor.connection, reactor.batch(Note(key="a"), lost))
    assert reactor.effects() == []
    assert reactor.states() == {}


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("raise", "RuntimeError: the handler is broken"),
        ("hang", "not done within 1 s"),
        ("deferred", "links_target_fkey"),
        ("swallow", "current transaction is aborted"),
    ],
)
async def test_a_handler_that_fails_is_retried_then_parked_and_leaves_nothing_behind(
    reactor: Desk, kind: str, error: str
) -> None:
    note = Note(key="a")
    await reactor.plant("a", kind)
    assert await reactor.receive(note) == ["failed"]
    assert reactor.row(note.id)["next_attempt_at"] is not None
    assert await reactor.retry_due() == ["failed", "parked"]
    kept = reactor.row(note.id)
    assert (kept["state"], kept["attempts"], kept["value"]) == ("Parked", 3, '{"number": 1}')
    assert error in kept["error"]
    assert kept["headers"]["saga-id"] == SAGA
    assert reactor.effects() == []
    assert rows(reactor.login, "SELECT * FROM outbox") == []


async def test_only_an_event_that_is_to_be_retried_has_the_database_asked_again_soon(reactor: Desk) -> None:
    await reactor.plant("refused", "refuse")
    assert await reactor.receive(Note(key="refused"), Note(key="fits")) == ["parked", "handled"]
    assert await inbox.seconds_to_next(reactor.connection) is None
    await reactor.plant("a", "raise")
    assert await reactor.receive(Note(key="a")) == ["failed"]
    assert await inbox.seconds_to_next(reactor.connection) is not None


async def test_a_parked_event_has_the_code_lines_that_failed(reactor: Desk) -> None:
    note = Note(key="a")
    await reactor.plant("a", "raise")
    await reactor.receive(note)
    assert "reactor/service.py" in reactor.row(note.id)["traceback"]


async def test_a_refusal_of_the_domain_is_parked_at_once(reactor: Desk) -> None:
    note = Note(key="a")
    await reactor.plant("a", "refuse")
    assert await reactor.receive(note) == ["parked"]
    assert "not-now" in reactor.row(note.id)["error"]


@pytest.mark.parametrize(
    ("note", "error"),
    [
        (Note(key="a", value=b"{not json"), "not JSON"),
        (Note(key="a", value=b'{"number": "many"}'), "number"),
        (Note(key="a", headers={"id": None}), "header id"),
        (Note(key="a", headers={"id": "4711"}), "header id"),
        (Note(key="a", headers={"event-version": "2.0"}), "version 2.0"),
        (Note(key="a", headers={"aggregate-version": "0"}), "aggregate-version"),
        (Note(key="a", topic="reactor.gone"), "reactor.gone"),
    ],
    ids=["not JSON", "unfit", "without id", "id not a UUID", "unknown version", "version 0", "no reaction"],
)
async def test_an_event_that_no_retry_can_help_is_parked_at_once_with_its_reason(
    reactor: Desk, note: Note, error: str
) -> None:
    assert await reactor.receive(note, Note(key="b")) == ["parked", "handled"]
    (parked,) = rows(reactor.login, "SELECT * FROM inbox WHERE state = 'Parked'")
    assert error in parked["error"]
    assert parked["value"] == note.body.decode()


async def test_an_event_without_an_id_is_one_event_however_often_its_offset_is_read(reactor: Desk) -> None:
    note = Note(key="a", headers={"id": None})
    assert await reactor.receive(note) == ["parked"]
    reactor.claims.clear()
    await reactor.connection.execute("UPDATE reaction_offsets SET next_offset = 0")
    assert await reactor.receive(note) == ["duplicate"]


async def test_later_events_of_a_failing_key_wait_and_other_keys_go_on(reactor: Desk) -> None:
    await reactor.plant("a", "raise")
    notes = [Note(key="a", number=1), Note(key="b", number=1), Note(key="a", number=2), Note(key="a", number=3)]
    assert await reactor.receive(*notes, Note(key="b", number=2)) == ["failed", "handled", "held", "held", "handled"]
    assert await reactor.retry_due() == ["failed", "parked"]
    assert reactor.effects() == [("b", 1), ("b", 2)]


async def test_a_key_is_ordered_over_all_topics(reactor: Desk) -> None:
    await reactor.plant("a", "raise")
    assert await reactor.receive(Note(key="a"), Note(key="a", topic=SECOND)) == ["failed", "held"]


async def test_once_the_fault_is_repaired_a_key_goes_on_in_order(reactor: Desk) -> None:
    await reactor.plant("a", "raise")
    first = Note(key="a", number=1)
    await reactor.receive(first, Note(key="a", number=2), Note(key="a", number=3))
    await reactor.retry_due()
    await reactor.repair()
    assert await reactor.receive(Note(key="a", number=4)) == ["held"]
    assert await reactor.retry(first) == 1
    assert await reactor.retry_due() == ["handled"] * 4
    assert reactor.effects() == [("a", 1), ("a", 2), ("a", 3), ("a", 4)]
    assert set(reactor.states().values()) == {"Handled"}
    assert rows(reactor.login, "SELECT * FROM inbox WHERE value IS NOT NULL OR headers IS NOT NULL") == []


async def test_an_event_that_recovers_by_itself_is_not_parked(reactor: Desk) -> None:
    await reactor.plant("a", "raise")
    await reactor.receive(Note(key="a"))
    await reactor.repair()
    assert await reactor.retry_due() == ["handled"]
    assert reactor.effects() == [("a", 1)]


async def test_a_retried_event_gets_all_its_attempts_again(reactor: Desk) -> None:
    await reactor.plant("a", "raise")
    note = Note(key="a")
    await reactor.receive(note)
    await reactor.retry_due()
    await reactor.retry(note)
    assert await reactor.retry_due() == ["failed", "failed", "parked"]


async def test_a_discarded_event_lets_its_key_go_on_without_it(reactor: Desk) -> None:
    await reactor.plant("a", "raise")
    first = Note(key="a", number=1)
    await reactor.receive(first, Note(key="a", number=2))
    await reactor.retry_due()
    await reactor.repair()
    assert await inbox.discard(reactor.connection, first.id, "sent by mistake")
    assert await reactor.retry_due() == ["handled"]
    assert reactor.effects() == [("a", 2)]
    discarded = reactor.row(first.id)
    assert (discarded["state"], discarded["value"]) == ("Discarded", None)
    assert "sent by mistake" in discarded["error"]
    assert await reactor.receive(first) == ["duplicate"]


async def test_only_a_parked_event_can_be_discarded_or_retried(reactor: Desk) -> None:
    await reactor.plant("a", "raise")
    retrying, handled = Note(key="a"), Note(key="b")
    await reactor.receive(retrying, handled)
    for note in (retrying, handled):
        assert not await inbox.discard(reactor.connection, note.id, "because")
        assert await reactor.retry(note) == 0


async def test_an_unordered_reaction_neither_waits_nor_holds_back(reactor: Desk) -> None:
    await reactor.plant("a", "raise")
    assert await reactor.receive(Note(key="a", topic=UNORDERED), Note(key="a")) == ["failed", "failed"]
    await reactor.repair()
    assert await reactor.receive(Note(key="a", number=2, topic=UNORDERED)) == ["handled"]


async def test_a_duplicate_of_a_waiting_event_is_not_kept_twice(reactor: Desk) -> None:
    await reactor.plant("a", "raise")
    note = Note(key="a")
    assert await reactor.receive(note, note) == ["failed", "duplicate"]
    assert len(reactor.states()) == 1


async def test_an_event_that_another_process_retries_is_left_to_it(reactor: Desk, database: Login) -> None:
    await reactor.plant("a", "raise")
    await reactor.receive(Note(key="a", number=1), Note(key="a", number=2))
    await reactor.repair()
    await reactor.connection.execute("UPDATE inbox SET next_attempt_at = now() WHERE state = 'Retrying'")
    async with reactor.connection.transaction():
        assert await inbox.next_due(reactor.connection) is not None
        async with desk(database) as other:
            assert await other.retry_due_now() == []
    assert await reactor.retry_due() == ["handled", "handled"]


async def test_a_held_event_whose_predecessor_has_just_been_settled_is_not_forgotten(reactor: Desk) -> None:
    """The predecessor may be settled between the look at the key and the commit of the held event."""
    await reactor.plant("a", "raise")
    first = Note(key="a", number=1)
    await reactor.receive(first, Note(key="a", number=2))
    await reactor.repair()
    await inbox.settle(reactor.connection, first.id)
    assert await reactor.retry_due() == ["handled"]
    assert reactor.effects() == [("a", 2)]


def received(saga: str | None = SAGA) -> ReceivedEvent:
    event = arrival_of(NoteRecord(Note(key="a", headers={"saga-id": saga})), reactor_module().reactions).event
    assert event is not None
    return event


async def do(tx: AsyncConnection[Any]) -> dict[str, Any]:
    await tx.execute("INSERT INTO targets VALUES (gen_random_uuid())")
    return {"done": True}


async def take_back(tx: AsyncConnection[Any], reply: Reply) -> dict[str, Any]:
    assert reply == {"done": True}
    await tx.execute("DELETE FROM targets")
    return {}


async def refuse(tx: AsyncConnection[Any]) -> dict[str, Any]:
    await do(tx)
    raise Refused("out-of-stock", "none is left")


async def in_transaction(reactor: Desk, work: Callable[[AsyncConnection[Any]], Awaitable[Stored]]) -> Stored:
    async with reactor.connection.transaction():
        return await work(reactor.connection)


def targets(reactor: Desk) -> int:
    return len(rows(reactor.login, "SELECT * FROM targets"))


async def test_a_step_by_events_is_undone_with_the_reply_of_its_action(reactor: Desk) -> None:
    event = received()
    done = await in_transaction(reactor, lambda tx: act(tx, event, "a-step", do))
    assert (done.state, done.reply, targets(reactor)) == ("Succeeded", {"done": True}, 1)
    undone = await in_transaction(reactor, lambda tx: undo(tx, event, "a-step", take_back))
    assert (undone.state, targets(reactor)) == ("Succeeded", 0)


async def test_a_refused_step_keeps_nothing_and_lets_the_handler_publish_it(reactor: Desk) -> None:
    event = received()
    done = await in_transaction(reactor, lambda tx: act(tx, event, "a-step", refuse))
    assert (done.state, done.reply["detail"], targets(reactor)) == ("Failed", "none is left", 0)


async def test_an_action_that_comes_after_its_compensation_finds_a_tombstone(reactor: Desk) -> None:
    event = received()
    await in_transaction(reactor, lambda tx: undo(tx, event, "a-step", take_back))
    late = await in_transaction(reactor, lambda tx: act(tx, event, "a-step", do))
    assert (late.state, targets(reactor)) == ("Tombstoned", 0)


async def test_two_events_that_ask_for_one_step_are_noticed(reactor: Desk) -> None:
    first, second = received(), received()
    await in_transaction(reactor, lambda tx: act(tx, first, "a-step", do))
    with pytest.raises(Problem, match="another request"):
        await in_transaction(reactor, lambda tx: act(tx, second, "a-step", do))


async def test_an_event_outside_of_a_saga_is_no_step_of_one(reactor: Desk) -> None:
    event = received(saga=None)
    with pytest.raises(UnfitEventError, match="saga-id"):
        await in_transaction(reactor, lambda tx: act(tx, event, "a-step", do))


@pytest.mark.parametrize("mode", ["transaction", "session"])
async def test_reactions_work_behind_a_pooler(pool: Pool, mode: Mode) -> None:
    async with desk(pool(mode).login) as reactor:
        await reactor.plant("a", "raise")
        assert await reactor.receive(Note(key="a"), Note(key="b")) == ["failed", "handled"]
        await reactor.repair()
        assert await reactor.retry_due() == ["handled"]


async def test_without_its_tables_a_service_is_told_to_migrate(database: Login) -> None:
    async with desk(database) as opened:
        await opened.connection.execute("DROP TABLE inbox")
        consumer = ReactionsConsumer(
            opened.reactions, service="reactor", database_url=database.url, bootstrap="127.0.0.1:1"
        )
        with pytest.raises(SessionError, match="reaction_tables"):
            await consumer._begin(opened.connection)
