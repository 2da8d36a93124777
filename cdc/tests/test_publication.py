"""Which publications keep rows of an outbox from the stream, and which rows the filter keeps out."""

from dataclasses import replace

import pytest

from kompensa_cdc.capture import outbox_from_object
from kompensa_cdc.capture.columns import Columns, Route
from kompensa_cdc.capture.outbox import MAX_EVENT_BYTES
from kompensa_cdc.capture.publication import Publication, comment_of, publishable
from kompensa_cdc.capture.republish import republisher, republishing_config
from kompensa_cdc.capture.table import Table
from kompensa_cdc.capture.unpublishable import search_sql

OUTBOX = outbox_from_object("shop", "orders", {"table": "orders.outbox", "topicPrefix": "orders", "events": ["made"]})
BY_AGGREGATE_TYPE = replace(OUTBOX, route=Route.BY_AGGREGATE_TYPE, types=("Order",))
ROW_FILTER, PRINTED = "event_type ~ 'x'", "(event_type ~ 'x'::text)"
TABLE = Table(name="orders.outbox", oid=7, columns={})
RIGHT = Publication(
    owner="orders",
    oids=(7,),
    inserts=True,
    via_root=True,
    columns=False,
    filter=PRINTED,
    comment=comment_of(ROW_FILTER, PRINTED),
)
TYPES = {
    "id": "uuid",
    "aggregate_id": "text",
    "event_type": "text",
    "event_version": "text",
    "payload": "jsonb",
    "traceparent": "text",
    "saga_id": "uuid",
}


def test_our_own_publication_is_right() -> None:
    assert RIGHT.is_right(TABLE, ROW_FILTER)
    assert RIGHT.loses(TABLE, ROW_FILTER) == ""


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        (replace(RIGHT, oids=(6,)), "orders.outbox"),
        (replace(RIGHT, oids=()), "orders.outbox"),
        (replace(RIGHT, inserts=False), "INSERT"),
        (replace(RIGHT, columns=True), "columns"),
        (replace(RIGHT, filter="(false)"), "(false)"),
        (replace(RIGHT, comment=comment_of("event_type ~ 'y'", PRINTED)), "row filter"),
    ],
    ids=["of the table's former self", "of no table", "without INSERT", "of some columns", "filtered", "smaller limit"],
)
def test_a_publication_that_keeps_rows_out_is_found(changed: Publication, word: str) -> None:
    assert word in changed.loses(TABLE, ROW_FILTER)
    assert not changed.is_right(TABLE, ROW_FILTER)


@pytest.mark.parametrize(
    "changed",
    [replace(RIGHT, filter="", comment=""), replace(RIGHT, via_root=False), replace(RIGHT, oids=(7, 8))],
    ids=["without a filter", "under the partitions' names", "of another table too"],
)
def test_a_publication_with_harmless_differences_is_corrected(changed: Publication) -> None:
    assert changed.loses(TABLE, ROW_FILTER) == ""
    assert not changed.is_right(TABLE, ROW_FILTER)


def test_the_filter_counts_the_payload_and_each_text_that_a_record_carries() -> None:
    row_filter = publishable(OUTBOX, TYPES)
    for counted in ("payload #>> '{}'", "aggregate_id", "event_version", "traceparent"):
        assert f"coalesce(octet_length({counted}), 0)" in row_filter
    assert "octet_length(id)" not in row_filter
    assert "octet_length(payload)" in publishable(OUTBOX, {**TYPES, "payload": "text"})


def test_the_filter_of_the_default_route_stays_as_it_was() -> None:
    """An upgrade that changed its text would publish all rows again."""
    assert publishable(OUTBOX, {**TYPES, "correlation_id": "uuid"}) == (
        "coalesce(octet_length(payload #>> '{}'), 0) + coalesce(octet_length(aggregate_id), 0)"
        " + coalesce(octet_length(event_version), 0) + coalesce(octet_length(traceparent), 0)"
        f" <= {MAX_EVENT_BYTES} AND event_type ~ '^[A-Za-z0-9._-]{{1,100}}$' AND isfinite(occurred_at)"
    )


def test_by_aggregate_type_the_filter_reads_the_aggregates_type_and_counts_that_of_the_event() -> None:
    row_filter = publishable(BY_AGGREGATE_TYPE, {**TYPES, "correlation_id": "text", "causation_id": "bigint"})
    assert "aggregate_type ~ '^" in row_filter
    assert "event_type <> ''" in row_filter
    assert "octet_length(event_type)" in row_filter
    assert "octet_length(correlation_id)" in row_filter
    assert "causation_id" not in row_filter  # it cannot be an id, and is not sent


def test_columns_with_other_names_are_quoted() -> None:
    """For example `end` and `order` are words of SQL."""
    renamed = replace(OUTBOX, columns=Columns(aggregate_id="order", event_type="end"))
    types = {"order" if name == "aggregate_id" else name: type_ for name, type_ in TYPES.items()}
    row_filter = publishable(renamed, types)
    assert 'octet_length("order")' in row_filter
    assert '"end" ~ \'^' in row_filter
    assert '"end" AS event_type' in search_sql(renamed, types)


def test_most_rows_are_passed_by_without_reading_their_payload() -> None:
    searched = search_sql(OUTBOX, TYPES)
    assert searched.index('pg_column_size("payload")') < searched.rindex("octet_length(payload")


def test_a_republisher_has_no_slot_of_its_own_and_sends_to_the_same_topics() -> None:
    config = {"slot.name": OUTBOX.slot, "transforms.outbox.route.topic.replacement": "orders.x", "heartbeat.x": "1"}
    made = republishing_config(config, OUTBOX, oids=frozenset({9, 7}), row_filter=ROW_FILTER)
    assert made["snapshot.mode"] == "initial_only"
    assert made["topic.prefix"] == republisher(OUTBOX) == "shop-orders_republish"
    assert made["slot.name"] != OUTBOX.slot
    assert made["transforms.outbox.route.topic.replacement"] == "orders.x"
    assert "'{7,9}'::oid[]" in made["snapshot.select.statement.overrides.orders.outbox"]
    assert ROW_FILTER in made["snapshot.select.statement.overrides.orders.outbox"]
    assert "heartbeat.x" not in made


def test_a_republisher_reads_the_events_of_each_aggregate_in_order() -> None:
    made = republishing_config({}, BY_AGGREGATE_TYPE, oids=frozenset({7}), row_filter=ROW_FILTER)
    statement = made["snapshot.select.statement.overrides.orders.outbox"]
    assert statement.endswith(" ORDER BY aggregate_type, aggregate_id, aggregate_version")
