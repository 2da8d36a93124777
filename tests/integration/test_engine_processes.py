"""Engine processes that are killed, paused, stopped and raced; and what they must not do."""

from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException

from kompensa_dev.ports import Ports
from tests.integration.engine_processes import EngineProcess, Engines, in_thread
from tests.integration.ledger_participant import LedgerParticipant
from tests.integration.stub_participant import StubParticipant
from tests.support.http import Answer, call
from tests.support.waiting import eventually, until

STEPS = ("reserve", "pay", "ship")


def started_until_dead(engine: EngineProcess, most: int) -> list[str]:
    """Ids of the sagas whose start was acknowledged."""
    acknowledged: list[str] = []
    for _ in range(most):
        try:
            acknowledged.append(engine.start_saga())
        except (OSError, HTTPException):
            break
    return acknowledged


def violations(ledger: LedgerParticipant, ended: dict[str, str]) -> list[str]:
    found = [problem for saga, phase in ended.items() for problem in ledger.effects(saga).violations(phase, STEPS)]
    return found + [f"{saga} is {phase}" for saga, phase in ended.items() if phase != "Succeeded"]


def test_the_sagas_of_a_killed_engine_are_ended_by_the_other(engines: Engines, ledger: LedgerParticipant) -> None:
    one, two = engines.start_pair()
    one.declare(*STEPS, participant=ledger.url)
    with ThreadPoolExecutor(8) as threads:
        loads = [threads.submit(started_until_dead, engine, 30) for engine in (one, two) for _ in range(4)]
        eventually(lambda: len(ledger.sagas()) > 20, "some sagas to be under way")
        one.kill()
        acknowledged = [saga for load in loads for saga in load.result()]
    eventually(lambda: two.shards() == 32, "the other to take the shards over")
    ended = two.until_ended(acknowledged)
    assert len(acknowledged) >= 120, "the other engine did not take sagas all the time"
    assert violations(ledger, ended) == []


def test_an_engine_that_is_killed_and_comes_back_ends_its_own_sagas_at_once(
    engines: Engines, ledger: LedgerParticipant
) -> None:
    engine = engines.start("one", KOMPENSA_LEASE_TTL="1h")
    engine.declare(*STEPS, participant=ledger.url)
    with ThreadPoolExecutor(4) as threads:
        loads = [threads.submit(started_until_dead, engine, 100) for _ in range(4)]
        before = len(ledger.sagas())
        eventually(lambda: len(ledger.sagas()) > before + 10, "some sagas to be under way")
        engine.kill()
        acknowledged = [saga for load in loads for saga in load.result()]
    engine.start()
    engine.until_ready()
    assert violations(ledger, engine.until_ended(acknowledged)) == []


async def test_an_engine_that_was_paused_for_longer_than_its_lease_neither_calls_nor_writes_when_it_wakes(
    engines: Engines, ports: Ports
) -> None:
    """Its calls under way are answered while it sleeps, others wait for a place, and retries have come due."""
    async with StubParticipant.serving(ports.take("stub")) as stub:
        one = await in_thread(engines.start, "one")
        await in_thread(lambda: one.declare("reserve", "pay", participant=stub.url, max_in_flight=4))
        stub.hold("reserve")
        sagas = [await in_thread(one.start_saga) for _ in range(12)]
        await until(lambda: len(stub.calls) == 4, "as many calls as there are places")
        two = await in_thread(engines.start, "two")
        one.pause()
        await until(lambda: two.shards() == 32, "the other engine to own all")
        stub.release("reserve")
        ended = await in_thread(two.until_ended, sagas)
        assert set(ended.values()) == {"Succeeded"}
        calls = list(stub.calls)
        histories = [(await in_thread(two.saga, saga)).ok()["history"] for saga in sagas]
        one.resume()
        await until(lambda: one.said("the lease is lost; dropping all sagas and joining again"), "it to notice")
        await in_thread(one.until_ready)
        assert stub.calls == calls
        assert [(await in_thread(two.saga, saga)).ok()["history"] for saga in sagas] == histories


async def test_an_engine_that_stops_hands_over_without_a_wait(engines: Engines, ports: Ports) -> None:
    async with StubParticipant.serving(ports.take("stub")) as stub:
        one = await in_thread(lambda: engines.start("one", KOMPENSA_LEASE_TTL="1h"))
        two = await in_thread(lambda: engines.start("two", KOMPENSA_LEASE_TTL="1h"))
        await in_thread(lambda: one.declare("reserve", "pay", participant=stub.url))
        stub.hold("reserve")
        sagas = [await in_thread(one.start_saga) for _ in range(8)]
        await until(lambda: len(stub.calls) == 8, "the calls to be under way")
        one.ask_to_stop()
        await until(lambda: not one.listens(), "it to take no more requests")
        stub.release("reserve")
        assert await in_thread(one.exit_status) == 0
        ended = await in_thread(lambda: two.until_ended(sagas, seconds=20))
        assert set(ended.values()) == {"Succeeded"}
        assert stub.calls.count("reserve") == 8, "a call whose reply had come was repeated"


def test_starts_with_one_key_at_two_engines_are_one_saga(engines: Engines, ledger: LedgerParticipant) -> None:
    pair = engines.start_pair()
    pair[0].declare(*STEPS, participant=ledger.url)
    keys = [f"cart-{number}" for number in range(25)]
    with ThreadPoolExecutor(8) as threads:
        answers: list[tuple[str, list[Answer]]] = [
            (key, list(threads.map(lambda engine, key=key: engine.ask_to_start(idempotencyKey=key), pair * 3)))
            for key in keys
        ]
    for key, given in answers:
        assert sorted(answer.status for answer in given) == [200] * 5 + [202], key
        assert len({answer.body["id"] for answer in given}) == 1, key
    ended = pair[0].until_ended([given[0].body["id"] for _, given in answers])
    assert violations(ledger, ended) == []


def test_a_definition_is_frozen_for_the_sagas_that_were_started_by_it(
    engines: Engines, ledger: LedgerParticipant
) -> None:
    engine = engines.start()
    engine.declare("reserve", "pay", participant=ledger.url)
    ledger.switch("reserve", down=True)
    old = engine.start_saga(suspend=True)
    engine.declare("reserve", "ship", participant=ledger.url)
    ledger.switch("reserve", down=False)
    engine.kill()
    engine.start()
    engine.until_ready()
    call("POST", f"{engine.url}/v1/sagas/{old}/resume").ok()
    new = engine.start_saga()
    assert set(engine.until_ended([old, new]).values()) == {"Succeeded"}
    assert ledger.effects(old).done == ("reserve", "pay")
    assert ledger.effects(new).done == ("reserve", "ship")


def test_ended_sagas_are_forgotten_after_their_time(engines: Engines, ledger: LedgerParticipant) -> None:
    engine = engines.start("one", KOMPENSA_RETENTION="1h")
    engine.declare(*STEPS, participant=ledger.url)
    soon, later = engine.start_saga(ttlSecondsAfterFinished=0), engine.start_saga()
    engine.until_ended([later])
    eventually(lambda: engine.saga(soon).status == 404, "the saga to be forgotten")
    assert engine.phase(later) == "Succeeded"
    assert len(ledger.effects(soon).done) == 3
