"""Any fault of one record makes that record poison; none ends the worker."""

from typing import Any

import pytest

from kompensa_cdc.replicas import prepare, replica_from_object
from kompensa_cdc.replicas.changes import Change
from kompensa_cdc.replicas.prepare import preparer
from kompensa_cdc.replicas.table import TargetColumn, TargetTable
from kompensa_consumer import Event, Poison
from tests.support.records import FakeRecord, with_headers

TYPES = {"id": "uuid", "version": "bigint", "email": "text", "address": "jsonb"}


def prepared(record: FakeRecord, *, schema: dict[str, Any] | None = None) -> Change | Poison:
    spec = replica_from_object(
        {
            "metadata": {"namespace": "shop", "name": "customers"},
            "spec": {
                "source": {"topics": ["orders.customer-created"], "deleteEvents": ["customer-deleted"]},
                "target": {
                    "table": "invoices.customers",
                    "keyColumn": "id",
                    "versionColumn": "version",
                    "columns": [
                        {"name": "email", "field": "email"},
                        {"name": "address", "field": "address", "type": "jsonb"},
                    ],
                },
                "eventSchema": schema,
                "onDelete": "Delete",
            },
        }
    )
    columns = {name: TargetColumn(type=kind, required=False) for name, kind in TYPES.items()}
    return preparer(spec, TargetTable(columns, may_stage=False))(record)


@pytest.mark.parametrize("nested", [2000, 900, 300, 100])
def test_deep_nesting_is_poison_with_a_schema_and_without(nested: int) -> None:
    record = FakeRecord(value_=b'{"address":' + b"[" * nested + b"]" * nested + b"}")
    for schema in (None, {"type": "object", "properties": {"address": {"type": "array"}}}):
        poison = prepared(record, schema=schema)
        assert isinstance(poison, Poison)
        assert "nested too deeply" in poison.error


def test_a_payload_at_the_limit_of_nesting_is_applied_through_a_schema_of_that_depth() -> None:
    schema: dict[str, Any] = {}
    for _ in range(99):
        schema = {"type": "array", "items": schema}
    value = b'{"address":' + b"[" * 99 + b"]" * 99 + b"}"

    change = prepared(FakeRecord(value_=value), schema={"type": "object", "properties": {"address": schema}})

    assert isinstance(change, Change)


@pytest.mark.parametrize("number", ["9" * 4300, "-" + "9" * 25, "1e400000", "0." + "1" * 6000])
def test_a_giant_number_passes_the_schema_and_is_kept_exactly_or_is_poison(number: str) -> None:
    schema = {"type": "object", "properties": {"address": {"type": "number", "multipleOf": 0.01}}}
    for given in (None, schema):
        change = prepared(FakeRecord(value_=b'{"address":%s}' % number.encode()), schema=given)
        assert isinstance(change, Change | Poison)


def test_a_schema_that_fails_over_a_payload_makes_it_poison(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(_: object) -> object:
        def check(event: Event) -> None:
            raise ValueError(f"recursion limit reached at {event.payload}")

        return check

    monkeypatch.setattr(prepare, "payload_check", failing)
    poison = prepared(FakeRecord())

    assert isinstance(poison, Poison)
    assert "the record cannot be read (ValueError)" in poison.error
    assert "ana@example.com" not in poison.error


@pytest.mark.parametrize(
    "record",
    [
        FakeRecord(value_=None),
        FakeRecord(value_=None, headers_=with_headers(event_type=b"customer-deleted")),
        FakeRecord(value_=b'{"customerId":"7"}', headers_=with_headers(event_type=b"customer-deleted")),
    ],
    ids=["tombstone", "tombstone that says so", "event of that type"],
)
def test_a_deletion_is_a_tombstone_or_an_event_of_that_type_and_need_not_fit_the_schema(record: FakeRecord) -> None:
    change = prepared(record, schema={"type": "object", "required": ["email"]})

    assert isinstance(change, Change)
    assert change.row is None


def test_a_state_has_to_fit_the_schema() -> None:
    schema = {"type": "object", "required": ["email"]}
    fits, does_not = prepared(FakeRecord(), schema=schema), prepared(FakeRecord(value_=b"{}"), schema=schema)

    assert isinstance(fits, Change)
    assert fits.row == ("ana@example.com", None)
    assert isinstance(does_not, Poison)


def test_poison_is_kept_under_the_same_spelling_of_its_key_as_the_row() -> None:
    upper = b"7D444840-9DC0-11D1-B245-5FFDCE74FAD2"
    for record in (
        FakeRecord(key_=upper, value_=b"{"),
        FakeRecord(key_=upper, value_=b'{"email":7}'),
        FakeRecord(key_=upper, headers_=with_headers(event_type=None)),
    ):
        poison = prepared(record)
        assert isinstance(poison, Poison)
        assert poison.key == upper.decode().lower()


def test_a_field_s_name_with_a_nul_does_not_reach_the_database() -> None:
    schema = {"type": "object", "additionalProperties": {"type": "string"}}
    poison = prepared(FakeRecord(value_=b'{"a\\u0000b":1}'), schema=schema)

    assert isinstance(poison, Poison)
    assert "\0" not in poison.error
