from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from kompensa_cdc.replicas.rows import canonical, check_key, row_of
from kompensa_cdc.replicas.spec import Column, ColumnType
from kompensa_consumer import Event, PoisonError


def event(payload: dict[str, Any] | None) -> Event:
    return Event(
        topic="t",
        partition=0,
        offset=0,
        key="k",
        type="customer-updated",
        version="1.0",
        aggregate_version=1,
        payload=payload,
        value=None,
        headers={},
        occurred_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def value(kind: ColumnType, field: object) -> str | None:
    (only,) = row_of(event({"f": field}), (Column(name="c", field="f", type=kind),), required=frozenset())
    return only


@pytest.mark.parametrize(
    ("kind", "field", "text"),
    [
        (ColumnType.TEXT, "Ana", "Ana"),
        (ColumnType.TEXT, "", ""),
        (
            ColumnType.JSONB,
            {"street": "Rua A", "n": Decimal("1.50"), "x": None},
            '{"street":"Rua A","n":1.50,"x":null}',
        ),
        (ColumnType.JSONB, [], "[]"),
        (ColumnType.UUID, "7D444840-9dc0-11d1-b245-5ffdce74fad2", "7d444840-9dc0-11d1-b245-5ffdce74fad2"),
        (ColumnType.NUMERIC, "209.97", "209.97"),
        (ColumnType.NUMERIC, Decimal("29.990"), "29.990"),
        (ColumnType.NUMERIC, 7, "7"),
        (ColumnType.TIMESTAMPTZ, "2026-01-31T12:00:00Z", "2026-01-31T12:00:00+00:00"),
        (ColumnType.TIMESTAMPTZ, "2026-01-31T23:00:00-05:00", "2026-02-01T04:00:00+00:00"),
        # A time without a zone is UTC, whatever the database's session says.
        (ColumnType.TIMESTAMPTZ, "2026-01-31T12:00:00", "2026-01-31T12:00:00+00:00"),
        (ColumnType.TEXT, None, None),
        (ColumnType.JSONB, None, None),
    ],
)
def test_a_field_becomes_the_column_s_text(kind: ColumnType, field: object, text: str | None) -> None:
    assert value(kind, field) == text


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        (ColumnType.TEXT, 7),
        (ColumnType.TEXT, {"a": 1}),
        (ColumnType.TEXT, "a\0b"),
        (ColumnType.UUID, "not-one"),
        (ColumnType.NUMERIC, "NaN"),
        (ColumnType.NUMERIC, True),
        (ColumnType.NUMERIC, "1; DROP TABLE"),
        (ColumnType.TIMESTAMPTZ, "yesterday"),
        (ColumnType.TIMESTAMPTZ, 5),
        (ColumnType.TIMESTAMPTZ, "0001-01-01T00:00:00+05:00"),
    ],
)
def test_a_field_of_another_kind_is_poison_that_names_it(kind: ColumnType, field: object) -> None:
    with pytest.raises(PoisonError, match="field f "):
        value(kind, field)


def test_a_default_replaces_an_absent_or_null_field() -> None:
    phone = (Column(name="phone", field="phone", default=""),)
    assert row_of(event({}), phone, required=frozenset({"phone"})) == ("",)
    assert row_of(event({"phone": None}), phone, required=frozenset()) == ("",)


def test_a_field_can_be_set_to_null_if_the_column_allows_it() -> None:
    phone = (Column(name="phone", field="phone"),)
    assert row_of(event({"phone": None}), phone, required=frozenset()) == (None,)
    with pytest.raises(PoisonError, match="column phone may not be NULL"):
        row_of(event({"phone": None}), phone, required=frozenset({"phone"}))


def test_a_uuid_key_is_compared_in_one_spelling() -> None:
    upper = "7D444840-9DC0-11D1-B245-5FFDCE74FAD2"
    assert canonical(upper, "uuid") == "7d444840-9dc0-11d1-b245-5ffdce74fad2"
    assert canonical(upper, "text") == upper
    assert canonical("ABC", "uuid") == "ABC"
    check_key(upper, "uuid")
    check_key("abc", "text")
    with pytest.raises(PoisonError, match="not a uuid"):
        check_key("abc", "uuid")


@pytest.mark.parametrize(("key", "printed"), [("07", "7"), ("+7", "7"), ("-0", "0"), ("7.0", "7.0"), (" 7", " 7")])
def test_a_whole_number_as_key_is_compared_in_one_spelling(key: str, printed: str) -> None:
    for kind in ("smallint", "integer", "bigint"):
        assert canonical(key, kind) == printed
    assert canonical(key, "text") == key


def test_a_key_that_is_not_a_whole_number_is_poison_if_the_key_column_is_one() -> None:
    check_key("-7", "bigint")
    with pytest.raises(PoisonError, match="not a whole number"):
        check_key("1_000", "bigint")


def test_blanks_at_the_end_of_a_padded_key_do_not_count() -> None:
    assert canonical("DE  ", "bpchar") == "DE"
