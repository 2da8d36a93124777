"""The input schema of a saga: which inputs it accepts, and which fields it declares."""

import pytest

from kompensa.model.schema import InputSchema, SchemaError

ORDER = {
    "type": "object",
    "required": ["customerId", "total"],
    "properties": {
        "customerId": {"type": "string", "format": "uuid"},
        "total": {"$ref": "#/$defs/money"},
        "address": {"$ref": "#/$defs/address"},
        "items": {"type": "array", "items": {"type": "object", "properties": {"price": {"type": "string"}}}},
        "labels": {"type": "object"},
        "extra": {"type": "object", "properties": {"a": {}}, "additionalProperties": True},
        "either": {"properties": {"a": {}}, "oneOf": [{"required": ["a"]}, {"required": ["b"]}]},
    },
    "$defs": {
        "money": {"type": "string", "pattern": "^[0-9]+\\.[0-9]{2}$"},
        "address": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
CUSTOMER = "0b8a3c5e-0000-4000-8000-000000000001"


def test_an_input_that_fits_has_no_findings() -> None:
    assert InputSchema(ORDER).findings({"customerId": CUSTOMER, "total": "209.97"}) == []


def test_each_finding_names_the_field_and_what_was_expected() -> None:
    findings = InputSchema(ORDER).findings({"customerId": "c", "total": 209.97})
    assert findings == ['customerId: "c" is not a "uuid"', 'total: 209.97 is not of type "string"']


def test_a_missing_field_is_named() -> None:
    assert InputSchema(ORDER).findings({"total": "1.00"}) == ['(the input itself): "customerId" is a required property']


def test_findings_are_a_handful_however_wrong_the_input_is() -> None:
    schema = InputSchema({"type": "array", "items": {"type": "string"}})
    assert len(schema.findings(list(range(1000)))) == 5


def test_a_finding_does_not_repeat_a_huge_value() -> None:
    (finding,) = InputSchema({"type": "object"}).findings("x" * 100_000)
    assert len(finding) < 300


def test_what_expressions_could_not_carry_is_refused_at_the_door() -> None:
    schema = InputSchema({})
    assert "NUL" in schema.findings({"a": ["x\0y"]})[0]
    assert "64 bits" in schema.findings({"a": {"b": 2**63}})[0]
    assert schema.findings({"a": "\\u0000", "card": "4111111111111111111", "n": 2**63 - 1, "m": -(2**63)}) == []


@pytest.mark.parametrize(
    "schema",
    [{"type": "bogus"}, {"$ref": "#/$defs/none"}, {"properties": 1}],
)
def test_a_schema_that_is_none_is_refused_in_one_line(schema: dict[str, object]) -> None:
    with pytest.raises(SchemaError) as caught:
        InputSchema(schema)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/schema.json", "file:///etc/hostname"])
def test_a_schema_cannot_make_the_engine_fetch_or_read(address: str) -> None:
    with pytest.raises(SchemaError, match=address):
        InputSchema({"$ref": address})


@pytest.mark.parametrize(
    ("path", "declared"),
    [
        ("customerId", True),
        ("customerID", False),
        ("address.city", True),
        ("address.town", False),
        ("total", True),
        ("labels.anything", True),
        ("extra.anything", True),
        ("either.b", True),
        ("items", True),
    ],
)
def test_a_field_is_declared_or_left_open_or_misspelt(path: str, declared: bool) -> None:
    assert InputSchema(ORDER).declares(path.split(".")) is declared


def test_a_schema_that_refers_to_itself_can_be_asked() -> None:
    node = {"type": "object", "properties": {"next": {"$ref": "#"}, "value": {}}}
    circle = {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}
    assert InputSchema(node).declares(["next", "next", "value"])
    assert not InputSchema(node).declares(["next", "anything"])
    assert InputSchema(circle).declares(["anything"])


ADDRESS = {"type": "object", "properties": {"city": {"type": "string"}}}


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#/$defs/with-city", "properties": {"street": {}}, "$defs": {"with-city": ADDRESS}},
        {"$ref": "#/definitions/A", "properties": {"street": {}}, "definitions": {"A": ADDRESS}},
        {
            "allOf": [{"$ref": "#/$defs/a"}, {"properties": {"street": {}}}, {"required": ["city"]}],
            "$defs": {"a": ADDRESS},
        },
        {"$ref": "#/$defs/a~1b%20c", "$defs": {"a/b c": {**ADDRESS, "allOf": [{"properties": {"street": {}}}]}}},
    ],
)
def test_a_schema_in_parts_declares_what_each_of_them_declares(schema: dict[str, object]) -> None:
    parts = InputSchema(schema)
    assert [parts.declares([name]) for name in ("city", "street", "ctiy")] == [True, True, False]
    assert parts.findings({"city": "Porto", "street": 1}) == []
    assert parts.findings({"city": 1})[0].startswith("city:")


@pytest.mark.parametrize("reference", ["#a", "https://example.com/order#/$defs/a"])
def test_a_reference_by_another_name_of_the_document_leaves_everything_open(reference: str) -> None:
    schema = {"$id": "https://example.com/order", "$ref": reference, "$defs": {"a": {"$anchor": "a", **ADDRESS}}}
    assert InputSchema(schema).declares(["anything"])


def test_a_reference_to_another_document_is_rejected_by_its_address() -> None:
    with pytest.raises(SchemaError, match=r"https://example.com/x.json.*\$defs"):
        InputSchema({"$ref": "https://example.com/x.json"})


@pytest.mark.parametrize(("path", "declared"), [("a", True), ("b", True), ("c", False), ("a.x", True), ("a.y", False)])
def test_properties_next_to_a_reference_are_declared_as_well_as_those_behind_it(path: str, declared: bool) -> None:
    inner = {"type": "object", "properties": {"x": {}}, "additionalProperties": False}
    schema = {
        "$ref": "#/$defs/the~1base",
        "properties": {"b": {}},
        "$defs": {"the/base": {"properties": {"a": {"$ref": "#/$defs/inner", "properties": {}}}}, "inner": inner},
    }
    assert InputSchema(schema).declares(path.split(".")) is declared
