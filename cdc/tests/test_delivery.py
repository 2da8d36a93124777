"""When an outbox's heartbeats show that events arrive, late, or not at all."""

from dataclasses import replace

import pytest

from kompensa_cdc.capture import OutboxStatus, outbox_from_object
from kompensa_cdc.capture.delivery import TIMEOUT_SECONDS, Delivery, stall_text
from kompensa_cdc.capture.heartbeat import Heartbeat, sent_at
from kompensa_cdc.capture.proof import with_other_findings
from kompensa_cdc.capture.source import Slot
from kompensa_cdc.capture.unpublishable import Search

OUTBOX = outbox_from_object("shop", "orders", {"table": "orders.outbox", "topicPrefix": "orders", "events": ["made"]})
READING = Slot(active=True, lost=False, lag_bytes=0)
CAPTURING = replace(
    OutboxStatus.fresh(OUTBOX), ready=True, reason="Capturing", message="orders.outbox is published to orders.*"
)


def beat(sent: float, position: int, *, delivered: float = 0.0, seconds: float | None = None) -> Heartbeat:
    return Heartbeat(sent=sent, at=sent, position=position, delivered=delivered, seconds=seconds)


def confirmed(position: int) -> Slot:
    return replace(READING, confirmed=position)


ARRIVED = Delivery().after(beat(100.0, 10, delivered=100.0, seconds=0.05), confirmed(10))


def test_a_heartbeat_that_comes_back_proves_delivery() -> None:
    assert (ARRIVED.delivered, ARRIVED.seconds, ARRIVED.waiting) == (100.0, 0.05, 0)
    assert not ARRIVED.stalls(100_000.0)


def test_a_heartbeat_that_exceeds_its_time_out_is_a_stall() -> None:
    late = ARRIVED.after(beat(110.0, 20, delivered=100.0), confirmed(10))
    assert late.waiting == 20
    assert not late.stalls(100.0 + TIMEOUT_SECONDS)
    assert late.stalls(100.1 + TIMEOUT_SECONDS)


def test_a_backlog_that_moves_does_not_stall() -> None:
    known = ARRIVED
    for step in range(1, 20):
        known = known.after(beat(100.0 + 20 * step, 1000 + step, delivered=100.0), confirmed(10 + step))
        assert not known.stalls(100.0 + 20 * step)
    older_came = ARRIVED.after(beat(200.0, 30, delivered=150.0), confirmed(10))
    assert older_came.delivered == 150.0
    assert not older_came.stalls(200.0)


def test_a_slot_that_passes_heartbeats_which_never_come_stalls() -> None:
    known = ARRIVED
    for step in range(1, 4):
        known = known.after(beat(100.0 + 20 * step, 20 + step, delivered=100.0), confirmed(50 + step))
    assert known.stalls(160.0)


def test_an_operator_that_starts_again_does_not_forget_a_stall() -> None:
    again = Delivery(delivered=100.0).after(beat(900.0, 20, delivered=100.0), confirmed(10))
    assert again.stalls(900.0)


def test_a_clock_that_is_set_back_neither_hides_nor_causes_a_stall() -> None:
    back = replace(beat(10.0, 20, delivered=100.0), at=101.0)
    late = ARRIVED.after(back, confirmed(10))
    assert not late.stalls(101.0)
    assert late.stalls(100.1 + TIMEOUT_SECONDS)
    arrived = ARRIVED.after(replace(beat(10.0, 20, delivered=10.0, seconds=0.1), at=101.0), confirmed(20))
    assert (arrived.delivered, arrived.waiting) == (10.0, 0)


def test_a_new_outbox_waits_for_its_first_heartbeat() -> None:
    first = Delivery().after(beat(500.0, 20), confirmed(10))
    assert not first.stalls(500.0)
    assert first.after(beat(540.0, 30), confirmed(10)).stalls(540.0)


def test_a_heartbeats_time_is_read_from_debeziums_text() -> None:
    record = b"Struct{op=m,source=Struct{lsn=1},message=Struct{prefix=kompensa-delivery,content=MTIzLjQ1MA==}}"
    assert sent_at(record) == 123.45
    assert sent_at(b"Struct{op=c}") == 0.0


@pytest.mark.parametrize(
    ("slot", "word"),
    [
        (replace(READING, active=False), "no session reads the slot"),
        (confirmed(30), "confirmed past"),
        (confirmed(5), "Kafka Connect's log"),
    ],
)
def test_a_stall_names_its_likely_cause(slot: Slot, word: str) -> None:
    assert word in stall_text(OUTBOX, Delivery(waiting=20), slot, topic="shop-orders.message", unpublished="")


LARGE = Search(reason="RecordTooLarge", message="the event 7 has 2000000 bytes")


@pytest.mark.parametrize(
    ("known", "slot", "reason", "ready"),
    [
        (CAPTURING, READING, "Capturing", True),
        (replace(CAPTURING, delivery=Delivery(delivered=1.0, waiting=5)), READING, "CatchingUp", True),
        (CAPTURING, replace(READING, prepared="'x' of ana"), "TransactionOpen", True),
        (CAPTURING, replace(READING, at_risk=True), "SlotAtRisk", False),
        (replace(CAPTURING, search=LARGE), READING, "RecordTooLarge", False),
        (replace(CAPTURING, search=LARGE), replace(READING, at_risk=True), "SlotAtRisk", False),
        (CAPTURING.unready("Republishing", "rows are published now"), READING, "Republishing", False),
        (replace(CAPTURING, reason="SlotRecreated", slot_lost=True), READING, "SlotRecreated", True),
    ],
)
def test_the_status_shows_the_gravest_problem(known: OutboxStatus, slot: Slot, reason: str, ready: bool) -> None:
    said = with_other_findings(OUTBOX, known, slot)
    assert (said.reason, said.ready) == (reason, ready)
