"""docs/reference/saga-reasons.md against sagas that are driven through every kind of reply."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from kompensa.client.engine_client import EngineProblemError
from kompensa.cluster.saga_refusal import refusal
from kompensa.engine.signals import event_of
from kompensa.handlers.sagas import FINAL
from kompensa.journal.records import Signal, SignalKind
from kompensa.model.commands import CallAction, CallCompensation
from kompensa.model.definition import Definition
from kompensa.model.events import CancelAsked, Recovered, Replied, TimerDue
from kompensa.model.expressions import ExpressionError, Template
from kompensa.model.outcomes import Direction, Outcome
from kompensa.model.policies import RetryPolicy
from kompensa.model.requests import unsendable
from kompensa.model.saga import Phase
from kompensa.model.view import view
from kompensa.transport.port import Reply
from kompensa.transport.replies import classify
from tests.support.documentation import named, tables, trees
from tests.support.saga_definitions import definition, step
from tests.support.saga_run import Run

ONCE = RetryPolicy(maximum_attempts=1)
NOW = datetime(2026, 1, 31, 10, 0, tzinfo=UTC)
ENDS = frozenset({Phase.SUCCEEDED, Phase.COMPENSATED, Phase.INTERVENTION_REQUIRED})
STATUSES = range(200, 600)
NOT_SENT = "NotSent"


class ShownReasons:
    """The reasons shown to people: those with the phases of the sagas that had them, and the reasons of steps."""

    def __init__(self) -> None:
        self.phases: defaultdict[str, set[str]] = defaultdict(set)
        self.of_steps: set[str] = set()

    def look(self, run: Run) -> None:
        shown = view(run.definition, run.saga)
        self.of_steps |= {each.reason for each in shown.steps if each.reason}
        if shown.reason and run.saga.phase in ENDS:
            self.phases[shown.reason].add(shown.phase)


@pytest.fixture(scope="module")
def shown_reasons() -> ShownReasons:
    found = ShownReasons()
    for reply in replies(Direction.ACTION):
        for one_step in (step(), step(policy=ONCE), step(policy=ONCE, retriable=True)):
            _act(definition(one_step), reply, found)
    for reply in replies(Direction.COMPENSATION):
        _undo(reply, found)
    for outcome in Outcome:
        for retriable in (False, True):
            _probe(definition(step(policy=ONCE, probe=True, retriable=retriable)), outcome, found)
    _cancel("cancel", found)
    _cancel("object-deleted-compensate", found)
    _pass_the_deadline(found)
    _miss_outputs_and_result(found)
    _die_and_recover(found)
    _turn_back_while_a_call_waits(found)
    return found


def replies(direction: Direction) -> Iterator[Reply]:
    """One of each status, and whatever the engine says of a call by itself."""
    for status in STATUSES:
        yield classify(status, {}, b"", direction, now=NOW)
    command = CallAction(0, 1) if direction is Direction.ACTION else CallCompensation(0, 1)
    event = unsendable(command, ExpressionError("no value"))
    assert isinstance(event, Replied)
    yield Reply(outcome=event.outcome, reason=event.reason, message=event.message)
    yield from unanswered_calls()


def unanswered_calls() -> Iterator[Reply]:
    """The replies that the code makes where there is none."""
    for tree in trees("operator/src/kompensa/transport", "operator/src/kompensa/engine"):
        for node in ast.walk(tree):
            match node:
                case ast.Call(func=ast.Name(id="unanswered"), args=[ast.Constant(value=str(reason)), *_]):
                    yield Reply(outcome=Outcome.UNKNOWN, reason=reason)
                case ast.Call(func=ast.Name(id="not_sent"), args=[ast.Constant(value=str(reason)), *_]):
                    yield Reply(outcome=Outcome.NOT_SENT, reason=reason)
                case ast.Call(func=ast.Name(id="Reply"), keywords=keywords):
                    said = {keyword.arg: keyword.value for keyword in keywords}
                    outcome, reason_said = said.get("outcome"), said.get("reason")
                    if isinstance(outcome, ast.Attribute) and isinstance(reason_said, ast.Constant):
                        if reason_said.value == NOT_SENT:
                            continue  # said of calls of a saga that has turned back, and of no other
                        yield Reply(outcome=Outcome[outcome.attr], reason=str(reason_said.value))


def _answer(run: Run, direction: Direction, reply: Reply) -> None:
    run.feed(
        Replied(
            step=0,
            direction=direction,
            attempt=1,
            outcome=reply.outcome,
            reply=reply.reply,
            reason=reply.reason,
            message=reply.message,
        )
    )


def _undone(run: Run) -> None:
    if "undo step#1" in run.asked:
        run.done("step")


def _act(of: Definition, reply: Reply, shown_reasons: ShownReasons) -> None:
    run = Run(of)
    _answer(run, Direction.ACTION, reply)
    _undone(run)
    shown_reasons.look(run)


def _undo(reply: Reply, shown_reasons: ShownReasons) -> None:
    run = Run(definition(step(compensation_policy=ONCE), step("other", index=1)))
    run.done("step")
    run.feed(CancelAsked())
    run.done("other")
    run.done("other")
    _answer(run, Direction.COMPENSATION, reply)
    if run.saga.phase is Phase.INTERVENTION_REQUIRED:
        shown_reasons.look(run)


def _probe(of: Definition, outcome: Outcome, shown_reasons: ShownReasons) -> None:
    run = Run(of)
    run.unknown("step")
    run.probed("step", outcome)
    _undone(run)
    shown_reasons.look(run)


def _cancel(kind: SignalKind, shown_reasons: ShownReasons) -> None:
    run = Run(definition(step()))
    event = event_of(Signal(id=1, saga_id="", kind=kind, reason=""))
    assert event is not None
    run.feed(event)
    run.done("step")
    _undone(run)
    shown_reasons.look(run)


def _pass_the_deadline(shown_reasons: ShownReasons) -> None:
    run = Run(definition(step(), deadline=5.0))
    run.now += 6
    run.feed(TimerDue())
    run.done("step")
    _undone(run)
    shown_reasons.look(run)


def _miss_outputs_and_result(shown_reasons: ShownReasons) -> None:
    missing = {"id": Template("${reply.id}")}
    for retriable in (False, True):
        _act(definition(step(outputs=missing, retriable=retriable)), Reply(outcome=Outcome.SUCCEEDED), shown_reasons)
    _act(
        definition(step(), result={"id": Template("${steps.step.id}")}), Reply(outcome=Outcome.SUCCEEDED), shown_reasons
    )


def _turn_back_while_a_call_waits(shown_reasons: ShownReasons) -> None:
    run = Run(definition(step()))
    run.feed(CancelAsked())
    _answer(run, Direction.ACTION, Reply(outcome=Outcome.NOT_SENT, reason=NOT_SENT))
    shown_reasons.look(run)


def _die_and_recover(shown_reasons: ShownReasons) -> None:
    run = Run(definition(replace(step(), keyed=False)))
    run.feed(Recovered())
    shown_reasons.look(run)


def test_each_reason_of_a_saga_is_stated_with_its_phases(shown_reasons: ShownReasons) -> None:
    rows = [row for row in tables("saga-reasons.md") if set(row[1].split(", ")) <= ENDS]
    stated = {named([row])[0]: set(row[1].split(", ")) for row in rows}
    given = {reason: phases for reason, phases in shown_reasons.phases.items() if not reason.startswith("Http")}
    assert stated == given


def test_a_status_becomes_a_sagas_reason_as_stated(shown_reasons: ShownReasons) -> None:
    stated = {reason for row in tables("saga-reasons.md") for reason in named([row], 1) if reason.startswith("Http")}
    assert stated == {reason for reason in shown_reasons.phases if reason.startswith("Http")}
    only_parked = {reason for reason in stated if shown_reasons.phases[reason] == {"InterventionRequired"}}
    assert only_parked == {"Http401", "Http403", "Http404", "Http405"}


@pytest.mark.parametrize("direction", Direction)
def test_a_reply_that_is_no_success_always_has_a_reason(direction: Direction) -> None:
    given = [(status, classify(status, {}, b"", direction, now=NOW)) for status in STATUSES]
    assert all(reply.reason == f"Http{status}" for status, reply in given if reply.outcome is not Outcome.SUCCEEDED)


def test_the_reasons_of_steps_are_stated(shown_reasons: ShownReasons) -> None:
    stated = set(named(tables("saga-reasons.md", "Reasons of a step")))
    given = {reason for reason in shown_reasons.of_steps if not reason.startswith("Http")} - shown_reasons.phases.keys()
    assert stated == given | {"BeyondReturn"}


def test_a_cancel_beyond_return_is_in_the_history() -> None:
    run = Run(definition(step(retriable=True)))
    assert [entry.reason for entry in run.feed(CancelAsked()).log] == ["BeyondReturn"]


def test_refusals_before_the_beginning_are_stated() -> None:
    stated = set(named(tables("saga-reasons.md", "Refused before it began")))
    assert stated == {refusal(EngineProblemError(422, slug, "", {}))[0] for slug in FINAL}
