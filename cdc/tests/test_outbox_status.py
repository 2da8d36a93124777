"""The fields of an Outbox's status, and how an operator that starts again reads them."""

from dataclasses import replace

import pytest

from kompensa_cdc.capture import OutboxStatus, outbox_from_object, remembered
from kompensa_cdc.capture.delivery import Delivery
from kompensa_cdc.capture.errors import BrokerError, PostgresError, TableError
from kompensa_cdc.capture.status import restart_pause

OUTBOX = outbox_from_object(
    "shop", "orders", {"table": "orders.outbox", "topicPrefix": "orders", "events": ["customer-created"]}
)
DELIVERY = Delivery(delivered=1795906800.25, seconds=0.0412)
RUNNING = replace(
    OutboxStatus.fresh(OUTBOX),
    connector_state="RUNNING",
    lag_bytes=7,
    ready=True,
    reason="Capturing",
    published=frozenset({7, 3}),
    delivery=DELIVERY,
)
REMEMBERED = replace(OutboxStatus.fresh(OUTBOX), published=frozenset({7, 3}), delivery=Delivery(delivered=1795906800.0))
TOO_SLOW = PostgresError(f"slot {OUTBOX.slot} could not start within 15 s because a transaction is still open on pg")


def test_the_status_has_the_state_of_capture() -> None:
    assert RUNNING.with_error(TOO_SLOW).as_status() == {
        "connector": "shop-orders",
        "slot": "kompensa_shop_orders",
        "publication": "kompensa_shop_orders",
        "connectorState": "RUNNING",
        "lagBytes": 7,
        "lastError": TOO_SLOW.message,
        "slotLost": False,
        "deliverySeconds": 0.04,
        "lastDelivered": "2026-11-28T23:00:00Z",
        "publishedTables": [3, 7],
    }


def test_an_error_is_shown_and_the_known_state_stays() -> None:
    refused = RUNNING.with_error(BrokerError("Kafka does not answer"))

    assert (refused.ready, refused.reason, refused.message) == (False, "KafkaUnusable", "Kafka does not answer")
    assert (refused.connector_state, refused.lag_bytes, refused.last_error) == ("RUNNING", 7, "Kafka does not answer")


def test_a_lost_slot_stays_the_last_error_after_later_errors() -> None:
    lost = RUNNING.lost(OUTBOX)
    refused = lost.with_error(TOO_SLOW)

    assert (lost.ready, lost.reason, lost.slot_lost) == (False, "SlotLost", True)
    assert (refused.reason, refused.message) == ("DatabaseUnusable", TOO_SLOW.message)
    assert refused.last_error == lost.last_error
    assert "slot kompensa_shop_orders was gone while connector shop-orders used it" in lost.last_error


def test_a_lost_slot_outlives_the_operator() -> None:
    lost = RUNNING.lost(OUTBOX).with_error(TOO_SLOW)
    known = remembered(OUTBOX, lost.as_status())

    assert known == replace(REMEMBERED, slot_lost=True, last_error=lost.last_error)


def test_a_lost_slot_is_known_by_its_field_and_not_by_the_words_of_an_error() -> None:
    said = {**RUNNING.lost(OUTBOX).as_status(), "lastError": "Kafka does not answer"}

    assert remembered(OUTBOX, said).last_error == RUNNING.lost(OUTBOX).last_error
    assert not remembered(OUTBOX, {**RUNNING.lost(OUTBOX).as_status(), "slotLost": False}).slot_lost


def test_a_lost_slot_is_recognised_in_an_object_without_the_field() -> None:
    said = RUNNING.lost(OUTBOX).as_status()
    del said["slotLost"]

    assert remembered(OUTBOX, said).slot_lost


@pytest.mark.parametrize("with_field", [True, False], ids=["as written now", "of a version without the field"])
def test_other_trouble_with_the_slot_is_not_a_lost_slot(with_field: bool) -> None:
    said = RUNNING.with_error(TOO_SLOW).as_status()
    if not with_field:
        del said["slotLost"]

    assert remembered(OUTBOX, said) == REMEMBERED


@pytest.mark.parametrize("missed", [True, False])
def test_rows_that_were_kept_from_the_stream_outlive_their_cause_and_the_operator(missed: bool) -> None:
    refused = RUNNING.with_error(TableError("hidden", reason="RowsHidden", rows_missed=missed))

    assert refused.published == (frozenset() if missed else RUNNING.published)
    assert remembered(OUTBOX, refused.as_status()).published == refused.published


def test_before_the_first_capture_no_rows_need_publishing_again() -> None:
    refused = OutboxStatus.fresh(OUTBOX).with_error(TableError("hidden", reason="RowsHidden"))

    assert refused.published is None
    assert "publishedTables" not in refused.as_status()


def test_an_object_without_a_status_begins_at_the_beginning() -> None:
    assert remembered(OUTBOX, {}) == OutboxStatus.fresh(OUTBOX)


def test_a_failed_connector_is_restarted_ever_more_seldom_within_a_bound() -> None:
    assert [restart_pause(restarts) for restarts in (0, 1, 2, 6, 1000)] == [5.0, 10.0, 20.0, 300.0, 300.0]
