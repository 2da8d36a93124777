"""Schemas and upcasts of event types, without a database."""

from pathlib import Path
from typing import Any

import pytest

from kompensa_eventstore import EventTypes, InvalidEventError, UnknownEventError

ANY: dict[str, Any] = {"type": "object"}
PAID = {
    "type": "object",
    "required": ["amount"],
    "properties": {"amount": {"type": "string", "pattern": r"^\d+\.\d\d$"}},
}


def test_data_that_do_not_fit_name_the_field() -> None:
    types = EventTypes({"PAID": {"1.0": PAID}})
    types.check("PAID", "1.0", {"amount": "12.50"})
    with pytest.raises(InvalidEventError, match="amount"):
        types.check("PAID", "1.0", {"amount": 12.5})


@pytest.mark.parametrize(("type_", "version"), [("LOST", "1.0"), ("PAID", "1.0"), ("PAID", "3.0")])
def test_only_known_types_in_their_newest_version_are_written(type_: str, version: str) -> None:
    types = EventTypes({"PAID": {"1.0": ANY, "2.0": ANY}}, {("PAID", "1.0"): dict})
    with pytest.raises(InvalidEventError, match=type_):
        types.check(type_, version, {})


def test_upcasts_are_applied_one_after_the_other_and_by_number() -> None:
    versions = {"10.0": ANY, "9.0": ANY, "1.0": ANY}
    types = EventTypes(
        {"PAID": versions},
        {("PAID", "1.0"): lambda data: {**data, "nine": True}, ("PAID", "9.0"): lambda data: {**data, "ten": True}},
    )
    assert types.upcast("PAID", "1.0", {}) == ("10.0", {"nine": True, "ten": True})
    assert types.upcast("PAID", "10.0", {}) == ("10.0", {})
    with pytest.raises(UnknownEventError, match=r"PAID 11\.0"):
        types.upcast("PAID", "11.0", {})


def test_an_older_version_without_upcast_is_found_when_the_types_are_made() -> None:
    with pytest.raises(ValueError, match=r"PAID 1\.0 has no upcast"):
        EventTypes({"PAID": {"1.0": ANY, "2.0": ANY}})


def test_an_upcast_from_no_older_version_is_found() -> None:
    with pytest.raises(ValueError, match="PIAD"):
        EventTypes({"PAID": {"1.0": ANY}}, {("PIAD", "1.0"): dict})


@pytest.mark.parametrize(
    ("schema", "said"),
    [({"type": "objekt"}, "objekt"), ({"$ref": "https://example.com/schema.json"}, "example")],
    ids=["a type that JSON Schema does not know", "another document"],
)
def test_a_schema_that_is_wrong_is_named(schema: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=r"PAID 1\.0"):
        EventTypes({"PAID": {"1.0": schema}})


@pytest.mark.parametrize("version", ["1", "1.0.0", "v1.0", "1.x", ""])
def test_a_version_has_two_numbers(version: str) -> None:
    with pytest.raises(ValueError, match="expected for example"):
        EventTypes({"PAID": {version: ANY}})


def test_schemas_are_read_from_files_named_by_type_and_version(tmp_path: Path) -> None:
    (tmp_path / "ORDER_CREATED-1.0.json").write_text('{"type": "object"}')
    assert EventTypes.from_folder(tmp_path).newest == {"ORDER_CREATED": "1.0"}
    (tmp_path / "PAID.json").write_text("{}")
    with pytest.raises(ValueError, match=r"PAID\.json"):
        EventTypes.from_folder(tmp_path)


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no schemas"):
        EventTypes.from_folder(tmp_path)
