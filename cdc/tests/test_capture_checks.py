"""Which tables can be captured as an outbox."""

import pytest

from kompensa_cdc.capture.checks import COLUMNS, wrong_columns

OUTBOX = {
    "id": "uuid",
    "aggregate_type": "text",
    "aggregate_id": "uuid",
    "aggregate_version": "bigint",
    "event_type": "text",
    "event_version": "text",
    "payload": "jsonb",
    "traceparent": "text",
    "saga_id": "uuid",
    "occurred_at": "timestamp with time zone",
}


def test_the_participant_kits_table_is_one() -> None:
    assert wrong_columns(OUTBOX) == []
    assert COLUMNS.keys() <= OUTBOX.keys()


def test_every_column_that_is_not_there_is_named_with_its_type() -> None:
    lacking = {name: kind for name, kind in OUTBOX.items() if name not in ("payload", "saga_id")}
    assert wrong_columns(lacking) == ["column payload (jsonb) is missing", "column saga_id (uuid) is missing"]


@pytest.mark.parametrize(
    ("column", "kind", "expected"),
    [
        ("occurred_at", "timestamp without time zone", "timestamp with time zone"),
        ("aggregate_version", "text", "bigint or integer"),
        ("payload", "bytea", "jsonb or json or text"),
    ],
)
def test_a_column_of_another_type_is_named_with_both(column: str, kind: str, expected: str) -> None:
    assert wrong_columns(OUTBOX | {column: kind}) == [f"column {column} is {kind}, expected {expected}"]
