"""The writer's rules that need no table: the order in which events are tried, and the text about a rejected one."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import cast

import psycopg
import pytest

from kompensa_cdc.replicas.batch_writer import _in_order
from kompensa_cdc.replicas.changes import Change
from kompensa_cdc.replicas.table import TargetColumn
from kompensa_consumer import Event
from kompensa_consumer.faults import explain


def change(key: str, version: int, *, deletes: bool = False) -> Change:
    event = Event(
        topic="orders.customer",
        partition=0,
        offset=0,
        key=key,
        type="customer-deleted" if deletes else "customer-updated",
        version="1.0",
        aggregate_version=version,
        payload=None,
        value=None,
        headers={},
        occurred_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    return Change(event, None if deletes else ("ana@example.com",))


def test_events_of_a_key_are_tried_in_order_and_a_deletion_after_its_state() -> None:
    expected = [
        change("a", 1),
        change("a", 2),
        change("a", 2, deletes=True),
        change("b", 1),
        change("b", 1, deletes=True),
    ]

    assert _in_order(expected[::-1]) == expected


def refusal(message: str | None, *, column: str | None = None, constraint: str | None = None) -> psycopg.Error:
    class Refused(psycopg.IntegrityError):
        @property
        def diag(self) -> psycopg.errors.Diagnostic:
            found = SimpleNamespace(message_primary=message, column_name=column, constraint_name=constraint)
            return cast("psycopg.errors.Diagnostic", found)

    return Refused()


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (refusal("value too long for type character varying(40)"), "value too long for type character varying(40)"),
        (refusal('invalid input syntax for type uuid: "ana@example.com"'), "invalid input syntax for type uuid"),
        (refusal("null value is not allowed", column="email"), "null value is not allowed (email)"),
        (refusal('null value in column "email"', column="email"), 'null value in column "email"'),
        (refusal("new row is refused", column="email", constraint="adult"), "new row is refused (adult)"),
        (refusal(None), "Refused"),
    ],
)
def test_a_rejection_names_column_or_constraint_and_never_the_value(error: psycopg.Error, text: str) -> None:
    assert explain(error) == text


@pytest.mark.parametrize(
    ("kind", "blank"),
    [
        ("text", ""),
        ("character varying", ""),
        ("jsonb", "{}"),
        ("json", "{}"),
        ("uuid", "00000000-0000-0000-0000-000000000000"),
        ("numeric", "0"),
        ("timestamp with time zone", "1970-01-01T00:00:00Z"),
    ],
)
def test_a_personal_column_is_blanked_with_null_or_an_empty_value_of_its_type(kind: str, blank: str) -> None:
    assert TargetColumn(type=kind, required=True, textual=not blank).blank == blank
    assert TargetColumn(type=kind, required=False).blank is None


def test_a_type_without_a_blank_has_none() -> None:
    assert TargetColumn(type="date", required=True).blank is None
