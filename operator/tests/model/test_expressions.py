"""Expressions in definitions: what they keep, what they refuse, and what they cannot do."""

from typing import Any

import pytest

from kompensa.model.expressions import ExpressionError, Reference, Scope, Template

VALUES: dict[str, Any] = {
    "input": {
        "items": [{"productId": "p1", "quantity": 2, "price": "29.99"}, {"productId": "p2", "quantity": 1}],
        "total": "209.97",
        "note": None,
        "express": True,
        "weird key": "odd",
        "guest's": {"name": "Ana"},
        "café": {"rooms": {"b": 2, "a": 1}},
    },
    "saga": {"id": "0b8a", "name": "order-1", "namespace": "shop", "definition": "create-order"},
    "steps": {"create-order": {"orderId": "o-1"}, "reserve": {"lines": {"count": 3}}},
    "operation": {"key": "0b8a/reserve/action", "step": "reserve", "direction": "action"},
}


def render(source: object) -> object:
    return Template(source).render(Scope(VALUES))


def render_path(source: str, **more: object) -> str:
    return Template(source).render_path(Scope({**VALUES, "input": {**VALUES["input"], **more}}))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("plain", "plain"),
        ("${input.total}", "209.97"),
        ("${ input.items }", VALUES["input"]["items"]),
        ("${input.express}", True),
        ("${input.note}", None),
        ("${steps['create-order'].orderId}", "o-1"),
        ('${steps["create-order"].orderId}', "o-1"),
        ("${steps.reserve.lines.count}", 3),
        ("${input['weird key']}", "odd"),
        ("""${input["guest's"].name}""", "Ana"),
        (r"${input['guest\'s'].name}", "Ana"),
        (r"${input['caf\u00e9'].rooms.a}", 1),
        ("${'{' + saga.id + \"}'\" + '${'}", "{0b8a}'${"),
        (r"${'it\'s ' + saga.id}", "it's 0b8a"),
        ("${{'a': {'b': {'c': saga.id}}}}", {"a": {"b": {"c": "0b8a"}}}),
        ("${input.items[0].price}", "29.99"),
        ("${input.items.map(i, i.productId)}", ["p1", "p2"]),
        ("${input.items.filter(i, i.quantity > 1).size()}", 1),
        ("${has(input.coupon) ? input.coupon : 'none'}", "none"),
        ("${{'id': saga.id}}", {"id": "0b8a"}),
        ("order ${saga.name} of ${steps.reserve.lines.count} lines", "order order-1 of 3 lines"),
        ("${input.express}/${input.note}", "true/"),
        ({"a": ["${saga.id}", 1, None, {"b": "${input.total}"}]}, {"a": ["0b8a", 1, None, {"b": "209.97"}]}),
        (7, 7),
    ],
)
def test_a_template_renders(source: object, expected: object) -> None:
    assert render(source) == expected


def test_what_cel_cannot_bear_disturbs_the_expressions_that_name_it_and_no_others() -> None:
    scope = Scope({"reply": {"ok": True, "accessKey": 35240611222333000144550010000012341, "text": "a\0b"}})
    assert Template("${reply.ok ? 'yes' : 'no'}").render(scope) == "yes"
    with pytest.raises(ExpressionError, match=r"reply\.accessKey contains an integer beyond 64 bits"):
        Template("${reply.accessKey + 1}").render(scope)
    with pytest.raises(ExpressionError, match=r"reply\.text contains a NUL character"):
        Template("${reply.text + '!'}").render(scope)


def test_the_maps_that_an_expression_makes_are_sorted() -> None:
    source = "${input.items.map(i, {'sku': i.productId, 'quantity': i.quantity, 'a': 1, 'z': 2, 'm': 3})}"
    rendered = render(source)
    assert isinstance(rendered, list)
    assert [list(line) for line in rendered] == [["a", "m", "quantity", "sku", "z"]] * 2


def test_what_leads_to_a_named_place_is_there_as_far_as_it_goes() -> None:
    assert render("${has(input.items) && !has(steps.reserve.later)}") is True
    assert render("${has(input.absent) ? input.absent.a : 'none'}") == "none"
    assert render("${input.total + '!' + string(steps.size())}") == "209.97!2"
    assert render("${input['café'].rooms.exists(room, room == 'a')}") is True


def test_a_place_that_is_only_named_keeps_its_value_to_the_last_bit() -> None:
    scope = Scope({"input": {"huge": 10**30, "nul": "a\0b"}})
    assert Template("${input.huge}").render(scope) == 10**30
    assert Template("${input.nul}").render(scope) == "a\0b"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("${input.missing}", "there is no 'missing'"),
        ("${input.total.cents}", "there is no 'cents'"),
        ("${steps.later.id}", "there is no 'later'"),
        ("${input.items.map(i, i.weight)}", "has no value"),
        ("${input.items.size() / 0}", "divide by zero"),
        ("all: ${input.items}", "a list cannot be put into text"),
        ("${double('inf')}", r"double\('inf'\)} cannot be written as JSON: inf is not a finite number"),
        ("${[1.0, -1e308 * 10.0]}", "-inf is not a finite number"),
        ("about ${0.0 / 0.0}", "nan is not a finite number"),
        ("${input['café'].rooms.map(room, room)}", "a map, which has no order; go through a list"),
        ("${input['café'].rooms.filter(room, room > 'a')}", "a map, which has no order; go through a list"),
        ("${input.total.cents.all + '!'}", "has no value|cannot be evaluated"),
    ],
)
def test_what_has_no_value_is_an_error_that_shows_the_expression(source: str, said: str) -> None:
    with pytest.raises(ExpressionError, match=said):
        render(source)


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("${b'abc'}", "YWJj"),
        ("${timestamp('2026-01-31T10:00:00Z')}", "2026-01-31T10:00:00Z"),
        ("${[1, 2].map(i, i * 2)}", [2, 4]),
        ("${1.5}", 1.5),
    ],
)
def test_what_cel_makes_is_what_json_makes_of_it(source: str, value: object) -> None:
    assert render(source) == value


@pytest.mark.parametrize("source", ["${inptu.total}", "${input.}", "${input.total ++ 1}", "${}", "x ${input.total"])
def test_what_cannot_be_compiled_is_refused_when_it_is_read(source: str) -> None:
    with pytest.raises(ExpressionError, match=r"does not compile|not closed"):
        Template(source)


def test_the_compilers_own_words_and_place_are_shown() -> None:
    with pytest.raises(ExpressionError, match=r"(?s)undeclared reference to 'inptu.*\^"):
        Template("${inptu.total}")


@pytest.mark.parametrize(
    ("source", "references"),
    [
        ("${input.items}", [("input", "items")]),
        ("${input.items.size()}", [("input", "items")]),
        ("${input.items.map(i, i.price)}", [("input", "items")]),
        ("${steps['a-b'].x + saga.id}", [("steps", "a-b", "x"), ("saga", "id")]),
        ("${'input.not' + input.yes}", [("input", "yes")]),
        ("${input.items[0].price}", [("input", "items")]),
        ("${has(input.a) ? input.a : ''}", [("input", "a"), ("input", "a")]),
        ("no expression", []),
        ({"deep": ["${reply.id}", {"er": "x ${input.y} z"}]}, [("reply", "id"), ("input", "y")]),
    ],
)
def test_references_name_what_an_expression_reads(source: object, references: list[tuple[str, ...]]) -> None:
    assert Template(source).references() == [Reference(reference) for reference in references]


def test_a_value_in_a_path_cannot_lead_to_another_resource() -> None:
    assert render_path("/customers/${input.id}", id="../admin?all=1#x") == "/customers/..%2Fadmin%3Fall%3D1%23x"
    assert render_path("/customers/${input.id}", id="é ü") == "/customers/%C3%A9%20%C3%BC"


@pytest.mark.parametrize("value", ["", ".", ".."])
def test_a_value_that_would_change_the_path_by_itself_is_refused(value: str) -> None:
    with pytest.raises(ExpressionError, match="another path"):
        render_path("/customers/${input.id}/orders", id=value)


def test_a_query_may_be_empty_and_is_encoded() -> None:
    assert render_path("/find?q=${input.q}&limit=1", q="") == "/find?q=&limit=1"
    assert render_path("/find?q=${input.q}&limit=1", q="a&b=c") == "/find?q=a%26b%3Dc&limit=1"


def test_the_operations_key_keeps_its_slashes() -> None:
    assert render_path("/operations/${operation.key}") == "/operations/0b8a/reserve/action"


def test_a_path_without_expressions_is_encoded_where_it_must_be() -> None:
    assert render_path("/a b/c?x=1") == "/a%20b/c?x=1"
