"""A saga's timeline: the order of its entries, what caused each event, and its two printed forms."""

from datetime import UTC, datetime
from typing import Any

import pytest

from kompensa.cli.timeline import Timeline, timeline
from kompensa.cli.timeline_text import mermaid, table
from kompensa.transport.traces import attempt_context
from kompensa_cdc.watch import WatchedRecord
from kompensa_common.tracing import context_of_event

SAGA = "0b7d1f0e-8a53-4a0e-9a53-0f6f9c1c2a11"
TRACE = SAGA.replace("-", "")
VIEW: dict[str, Any] = {
    "namespace": "shop",
    "name": "order-1",
    "definition": "create-order",
    "phase": "Compensated",
    "steps": [
        {"name": "reserve", "attempts": 2, "compensation": {"attempts": 1}},
        {"name": "pay", "attempts": 1},
    ],
}
HISTORY: list[dict[str, Any]] = [
    {"at": "2026-01-31T12:00:00.000Z", "event": "SagaAccepted"},
    {"at": "2026-01-31T12:00:00.010Z", "event": "StepStarted", "step": "reserve", "attempt": 2},
    {"at": "2026-01-31T12:00:00.030Z", "event": "StepSucceeded", "step": "reserve", "attempt": 2},
    {"at": "2026-01-31T12:00:00.050Z", "event": "StepFailed", "step": "pay", "attempt": 1, "reason": "PaymentDeclined"},
]


def record(
    second: str, event: str, *, event_id: str = "e1", caused_by: str | None = None, **headers: str
) -> WatchedRecord:
    type_ = event.partition(".")[2]
    known = {"id": event_id, "event-type": type_, "occurred-at": f"2026-01-31T12:00:00.{second}Z"}
    return WatchedRecord(
        topic=event,
        partition=0,
        offset=7,
        time=datetime(2026, 1, 31, 12, 0, 1, tzinfo=UTC),
        key="k",
        headers={**known, **({"traceparent": caused_by} if caused_by else {}), **headers},
        value="{}",
        lag=0,
    )


def of_call(step: str, direction: str, attempt: int) -> str:
    return attempt_context(SAGA, f"{SAGA}/{step}/{direction}", attempt).traceparent


def traced(*records: WatchedRecord) -> Timeline:
    return timeline(SAGA, VIEW, HISTORY, records)


def events(found: Timeline) -> list[str]:
    return [entry.event for entry in found.entries]


def test_the_events_stand_between_the_lines_of_the_journal() -> None:
    found = traced(record("020", "inventory.stock-reserved"))
    assert events(found) == ["SagaAccepted", "StepStarted", "stock-reserved", "StepSucceeded", "StepFailed"]


@pytest.mark.parametrize(
    "call", [("reserve", "action", 1), ("reserve", "action", 2), ("reserve", "compensation", 1), ("pay", "action", 1)]
)
def test_an_event_names_the_call_that_caused_it(call: tuple[str, str, int]) -> None:
    found = traced(record("020", "inventory.stock-reserved", caused_by=of_call(*call)))
    assert found.entries[2].caused_by == "{} {} {}".format(*call)


def test_an_event_names_the_event_that_caused_it() -> None:
    found = timeline(
        SAGA,
        None,
        [],
        [
            record(
                "030", "payments.payment-captured", event_id="e2", caused_by=context_of_event(TRACE, "e1").traceparent
            ),
            record("020", "inventory.stock-reserved", event_id="e1"),
        ],
    )
    assert [entry.caused_by for entry in found.entries] == [None, "stock-reserved"]


def test_a_span_of_somebody_elses_trace_collector_names_no_cause() -> None:
    found = traced(record("020", "inventory.stock-reserved", caused_by=f"00-{TRACE}-00f067aa0ba902b7-01"))
    assert found.entries[2].caused_by is None


def test_an_event_that_was_published_twice_is_shown_once() -> None:
    assert events(traced(*[record("020", "inventory.stock-reserved")] * 2)).count("stock-reserved") == 1


@pytest.mark.parametrize("time", ["", "yesterday", "2026-01-31T12:00:00"])
def test_an_event_without_a_usable_time_has_that_of_kafka(time: str) -> None:
    found = traced(record("020", "inventory.stock-reserved", **{"occurred-at": time}))
    assert found.entries[-1].time == "2026-01-31T12:00:01.000Z"


def test_the_table_shows_the_milliseconds_since_the_first_entry_and_the_place_in_kafka() -> None:
    text = table(traced(record("020", "inventory.stock-reserved", **{"aggregate-version": "3"})))
    assert "shop/order-1" in text.splitlines()[0]
    (line,) = [line for line in text.splitlines() if "stock-reserved" in line]
    assert "20 ms" in line
    assert "k version 3, in inventory.stock-reserved/0@7 after 980 ms" in line


def test_a_diagram_leads_calls_to_the_service_that_a_step_calls() -> None:
    lines = mermaid(traced(), {"reserve": "inventory"}).splitlines()
    names: dict[str, Any] = {line.split(" as ")[1]: line.split()[1] for line in lines if " as " in line}
    assert f"    {names['engine']}->>{names['inventory']}: reserve action 2" in lines
    assert f"    {names['pay']}-->>{names['engine']}: pay refused: PaymentDeclined" in lines


def test_a_diagram_leads_events_from_the_cause_to_the_service_that_reacted() -> None:
    caused = record(
        "030", "payments.payment-captured", event_id="e2", caused_by=context_of_event(TRACE, "e1").traceparent
    )
    lines = mermaid(timeline(SAGA, None, [], [record("020", "inventory.stock-reserved"), caused]), {}).splitlines()
    assert "    p0-)p1: stock-reserved" in lines


def test_text_of_a_participant_cannot_break_a_diagram() -> None:
    history = [{"at": HISTORY[0]["at"], "event": "StepFailed", "step": "pay", "message": "no; #1\nend <b>"}]
    lines = mermaid(timeline(SAGA, VIEW, history, []), {}).splitlines()
    assert lines[-1].endswith("no#59; #35;1\\nend #60;b#62;")
