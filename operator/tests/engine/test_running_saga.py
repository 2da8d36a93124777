"""One saga in memory: only its methods change it, and its row gives back what it was."""

import ast
import asyncio
from pathlib import Path
from typing import Any

import pytest

from kompensa import engine
from kompensa.engine.running_saga import InboxItem, RunningSaga, StatusWritten
from kompensa.engine.saga_rows import stored_origin, stored_saga
from kompensa.engine.start import ObjectRef
from kompensa.journal.records import Signal
from kompensa.model.events import Replied, SuspendAsked
from kompensa.model.outcomes import Direction, Outcome
from tests.support.running_sagas import a_saga
from tests.support.virtual_time import START

UID = "0b8a3c5e-0000-4000-8000-000000000001"
OBJECT = ObjectRef(name="order-1", uid=UID, generation=3)
DONE = Replied(step=0, direction=Direction.ACTION, attempt=1, outcome=Outcome.SUCCEEDED, reply={})


def ended(**request: Any) -> RunningSaga:
    running = a_saga(**request)
    running.advance(DONE, START + 1)
    return running


def test_no_other_module_writes_a_running_sagas_attributes() -> None:
    written = []
    for path in Path(engine.__path__[0]).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            written += [
                f"{path.name}:{target.lineno}"
                for target in targets
                if isinstance(target, ast.Attribute)
                and isinstance(target.value, ast.Name)
                and target.value.id == "running"
                and path.name != "running_saga.py"
            ]
    assert written == []


def test_a_row_gives_back_the_saga_that_was_written() -> None:
    running = a_saga(object=OBJECT, input={"a": 1}, deletion_policy="Orphan", ttl_seconds_after_finished=60)
    row = running.acceptance(0.0).row
    stored = stored_saga(row)
    recovered = RunningSaga.recovered(row, stored, running.definition)
    assert (recovered.saga, recovered.origin, stored_origin(row)) == (running.saga, running.origin, running.origin)
    assert (recovered.object_uid, recovered.generation, recovered.version) == (UID, 3, 1)
    assert recovered.durable is recovered.saga
    assert '"a":1' not in row.state, "the input is stored twice"


def test_a_recovered_saga_goes_on_with_the_next_version() -> None:
    row = a_saga().acceptance(0.0).row
    recovered = RunningSaga.recovered(row, stored_saga(row), a_saga().definition)
    recovered.advance(DONE, START + 1)
    assert recovered.transition(0.0, ()).version == 2


def test_a_saga_that_was_recovered_at_rest_is_not_counted_again() -> None:
    running = ended()
    row = running.acceptance(0.0).row
    assert running.come_to_rest()
    assert not running.come_to_rest()
    assert not RunningSaga.recovered(row, stored_saga(row), running.definition).come_to_rest()


def test_a_new_state_has_to_be_reported_again() -> None:
    running = ended(object=OBJECT)
    assert running.unreported
    assert running.note_status(StatusWritten(running.saga), START + 2)
    assert (running.unreported, running.settled) == (False, True)
    assert not running.note_status(StatusWritten(running.saga), START + 3), "it was noted twice"


def test_a_status_of_an_older_state_settles_nothing() -> None:
    running = a_saga(object=OBJECT)
    older = StatusWritten(running.saga)
    running.advance(DONE, START + 1)
    assert not running.note_status(older, START + 2)
    assert not running.settled


def test_a_saga_whose_object_is_gone_has_nothing_to_report() -> None:
    running = ended(object=OBJECT)
    running.note(Signal(id=1, saga_id=UID, kind="object-deleted-orphan", reason=""), START + 2)
    assert (running.has_object, running.settled) == (False, True)
    row = running.acceptance(0.0).row
    assert not RunningSaga.recovered(row, stored_saga(row), running.definition).has_object


def test_a_signal_is_seen_once() -> None:
    running, signal = a_saga(), Signal(id=7, saga_id=UID, kind="cancel", reason="")
    assert [running.sees_first(signal), running.sees_first(signal)] == [True, False]


def test_a_signal_brings_the_newer_generation_of_the_object() -> None:
    running = a_saga(object=OBJECT)
    running.note(Signal(id=1, saga_id=UID, kind="suspend", reason="", generation=4), START)
    running.note(Signal(id=2, saga_id=UID, kind="resume", reason=""), START)
    assert running.generation == 4


def test_one_task_at_a_time_has_the_inbox() -> None:
    running = a_saga()
    assert [running.begin_driving(), running.begin_driving()] == [True, False]
    running.end_driving()
    assert [running.begin_driving()] == [True]


def test_only_a_saga_whose_row_says_everything_is_idle() -> None:
    running = a_saga(suspend=True)
    seen = [running.idle]
    running.written()
    seen.append(running.idle)
    running.inbox.append(InboxItem(SuspendAsked()))
    seen.append(running.idle)
    assert seen == [False, True, False]


async def test_whoever_waits_is_woken_when_the_saga_rests() -> None:
    running = ended()
    waiting = asyncio.create_task(running.wait_for_rest(60.0))
    await asyncio.sleep(1)
    assert not running.idle
    running.come_to_rest()
    await asyncio.wait_for(waiting, 1.0)


async def test_whoever_gives_up_waiting_is_forgotten() -> None:
    running = a_saga(suspend=True)
    running.written()
    await running.wait_for_rest(1.0)
    assert running.idle


@pytest.mark.parametrize(("request_", "kept"), [({"ttl_seconds_after_finished": 60}, 60.0), ({}, 300.0)])
def test_an_ended_saga_is_kept_for_its_own_time_or_the_retention(request_: dict[str, int], kept: float) -> None:
    row = ended(**request_).acceptance(300.0).row
    assert row.finished_at is not None
    assert row.expires_at == row.finished_at + kept


def test_an_objects_own_time_is_about_the_object() -> None:
    row = ended(object=OBJECT, ttl_seconds_after_finished=60).acceptance(300.0).row
    assert row.finished_at is not None
    assert row.expires_at == row.finished_at + 300.0
