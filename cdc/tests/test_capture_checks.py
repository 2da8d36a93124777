"""Planted defects of a table: each keeps rows from the stream, or could, and each has a reason."""

from dataclasses import replace
from typing import Any

import pytest

from kompensa_cdc.capture import Database, outbox_from_object
from kompensa_cdc.capture.checks import check_table, unsuitable
from kompensa_cdc.capture.columns import REQUIRED, Columns, Route
from kompensa_cdc.capture.errors import TableError
from kompensa_cdc.capture.table import Column, Relation, Table

OUTBOX = outbox_from_object("shop", "orders", {"table": "orders.outbox", "topicPrefix": "orders", "events": ["made"]})
LOGIN = Database(host="db", port=5432, database="orders", username="capture", password="hush")
NULLABLE = ("payload", "traceparent", "saga_id")
TABLE = Table(
    name="orders.outbox",
    oid=1,
    columns={
        "id": Column(type="uuid"),
        "aggregate_type": Column(type="text"),
        "aggregate_id": Column(type="uuid"),
        "aggregate_version": Column(type="bigint"),
        "event_type": Column(type="text"),
        "event_version": Column(type="text"),
        "payload": Column(type="jsonb"),
        "traceparent": Column(type="text", nullable=True),
        "saga_id": Column(type="uuid", nullable=True),
        "occurred_at": Column(type="timestamp with time zone"),
    },
)
PARTITIONED = replace(TABLE, kind="p", leaves=(Relation(name="orders.outbox_1", oid=2),))


def with_column(name: str, **changed: Any) -> Table:
    columns = dict(TABLE.columns)
    columns[name] = replace(columns[name], **changed)
    return replace(TABLE, columns=columns)


def test_the_participant_kits_table_is_an_outbox() -> None:
    assert unsuitable(TABLE, OUTBOX) == unsuitable(PARTITIONED, OUTBOX) == []
    check_table(TABLE, OUTBOX, owner=LOGIN, capture=LOGIN)
    assert REQUIRED.keys() <= TABLE.columns.keys()


def test_every_missing_column_is_named_with_its_type() -> None:
    left = {name: column for name, column in TABLE.columns.items() if name not in ("payload", "saga_id")}
    found = unsuitable(replace(TABLE, columns=left), OUTBOX)
    assert [phrase.split(" is missing")[0] for phrase in found] == ["column payload (jsonb)", "column saga_id (uuid)"]


@pytest.mark.parametrize("column", [name for name in REQUIRED if name not in NULLABLE])
def test_a_column_that_may_be_null_is_named(column: str) -> None:
    assert column in unsuitable(with_column(column, nullable=True), OUTBOX)[0]


@pytest.mark.parametrize("column", NULLABLE)
def test_a_column_that_a_record_does_not_need_may_be_null(column: str) -> None:
    assert unsuitable(with_column(column, nullable=True), OUTBOX) == []


@pytest.mark.parametrize(
    ("table", "word"),
    [
        (with_column("occurred_at", type="timestamp without time zone"), "occurred_at"),
        (with_column("aggregate_version", type="text"), "aggregate_version"),
        (with_column("payload", type="bytea"), "bytea"),
        (with_column("event_type", type="orders.event_name"), "orders.event_name"),
        (with_column("payload", generated=True), "generated"),
        (replace(TABLE, kind="v"), "view"),
        (replace(TABLE, kind="m"), "materialized view"),
        (replace(TABLE, kind="f"), "foreign table"),
        (replace(TABLE, logged=False), "SET LOGGED"),
        (replace(PARTITIONED, leaves=(Relation(name="orders.p", oid=2, logged=False),)), "orders.p SET LOGGED"),
        (replace(PARTITIONED, leaves=(Relation(name="orders.p", oid=2, kind="f"),)), "foreign table"),
        (replace(TABLE, children=("orders.more",)), "orders.more"),
        (replace(TABLE, rules=("away",)), "DROP RULE away"),
        (replace(TABLE, id_is_unique=False), "PRIMARY KEY"),
    ],
)
def test_a_table_whose_rows_are_not_all_published_is_unsuitable(table: Table, word: str) -> None:
    with pytest.raises(TableError, match=word) as refused:
        check_table(table, OUTBOX, owner=LOGIN, capture=LOGIN)
    assert refused.value.reason == "TableUnsuitable"
    assert refused.value.rows_missed


@pytest.mark.parametrize(
    ("table", "reason", "word", "missed"),
    [
        (None, "TableMissing", "orders.outbox", False),
        (replace(TABLE, may_read=False), "RightsMissing", "GRANT SELECT", False),
        (replace(TABLE, may_use_schema=False), "RightsMissing", "GRANT USAGE", False),
        (replace(TABLE, rows_hidden=True), "RowsHidden", "BYPASSRLS", True),
        (replace(TABLE, others=("kompensa_shop_other",)), "TableTaken", "kompensa_shop_other", False),
    ],
)
def test_other_causes_of_missing_rows_have_their_own_reason(
    table: Table | None, reason: str, word: str, missed: bool
) -> None:
    with pytest.raises(TableError, match=word) as refused:
        check_table(table, OUTBOX, owner=LOGIN, capture=LOGIN)
    assert (refused.value.reason, refused.value.rows_missed) == (reason, missed)


BY_AGGREGATE_TYPE = replace(OUTBOX, route=Route.BY_AGGREGATE_TYPE, types=("Order",))


def test_an_event_table_is_an_outbox_although_it_rejects_changes() -> None:
    check_table(replace(TABLE, append_only=True), BY_AGGREGATE_TYPE, owner=LOGIN, capture=LOGIN)


@pytest.mark.parametrize("defect", [{"nullable": True}, {"type": "orders.kind"}], ids=["nullable", "of another type"])
def test_the_column_of_the_route_must_have_a_value_that_ends_a_topics_name(defect: dict[str, Any]) -> None:
    table = with_column("aggregate_type", **defect)
    assert unsuitable(table, OUTBOX) == []
    assert "aggregate_type" in unsuitable(table, BY_AGGREGATE_TYPE)[0]


def test_columns_may_have_other_names() -> None:
    columns = dict(TABLE.columns)
    columns["stream"] = columns.pop("aggregate_id")
    table = replace(TABLE, columns=columns)
    renamed = replace(OUTBOX, columns=Columns(aggregate_id="stream"))
    assert unsuitable(table, renamed) == []
    assert "column stream" in unsuitable(TABLE, renamed)[0]
    assert "column aggregate_id" in unsuitable(table, OUTBOX)[0]


def test_an_optional_column_must_exist_once_it_is_named() -> None:
    named = replace(OUTBOX, columns=Columns(causation_id="because_of"))
    assert "column because_of" in unsuitable(TABLE, named)[0]
