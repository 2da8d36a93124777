"""The shop's own definition, from its YAML to the requests it makes (S42, S43, S46, S48, S49)."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from kompensa.model.definition import Definition
from kompensa.model.linter import lint
from kompensa.model.parsing import compile_definition, parse_definition, parse_participant
from kompensa.model.requests import action_request, compensation_request
from kompensa.model.revision import revision_of
from kompensa.model.saga import Phase
from kompensa.model.scope import LOGGED_CHARACTERS, log_fields
from kompensa.model.view import view
from tests.support.saga_run import Run

SHOP = Path(__file__).parents[3] / "manifests" / "shop"
ITEMS: list[dict[str, Any]] = [
    {"productId": "0b8a3c5e-0000-4000-8000-0000000000a1", "quantity": 2, "price": "29.99"},
    {"productId": "0b8a3c5e-0000-4000-8000-0000000000a2", "quantity": 1, "price": "149.99"},
]
ORDER = {
    "customerId": "0b8a3c5e-0000-4000-8000-0000000000c1",
    "items": ITEMS,
    "totalAmount": "209.97",
    "paymentMethodId": "pm-abc",
}
NAMED = [{**item, "name": name} for item, name in zip(ITEMS, ("Mouse", "Screen"), strict=True)]
REPLIES: dict[str, dict[str, Any]] = {
    "reserve-inventory": {"reservationId": "r-1"},
    "process-payment": {"paymentId": "p-1"},
    "create-order": {"orderId": "o-1", "items": NAMED},
    "issue-invoice": {"invoiceId": "i-1"},
    "confirm-order": {"status": "confirmed"},
    "sell-inventory": {"status": "sold"},
}
SPEC = parse_definition(yaml.safe_load((SHOP / "create-order.yaml").read_text())["spec"])
PARTICIPANTS = {
    document["metadata"]["name"]: parse_participant(document["spec"])
    for document in yaml.safe_load_all((SHOP / "participants.yaml").read_text())
    if document
}


def create_order() -> Definition:
    return compile_definition(namespace="shop", name="create-order", spec=SPEC, participants=PARTICIPANTS)


def run_until(name: str | None) -> Run:
    """Every step before `name` done."""
    run = Run(create_order(), saga_input=ORDER)
    for step, reply in REPLIES.items():
        if step == name:
            break
        run.done(step, **reply)
    return run


def body_of(run: Run, name: str) -> Any:
    return msgspec.json.decode(action_request(run.definition, run.saga, run.step(name), 1).message.body)


def test_the_linter_finds_nothing() -> None:
    assert lint(SPEC, PARTICIPANTS) == []


def test_the_order_of_the_seed_fits_its_schema_and_a_float_does_not() -> None:
    schema = create_order().input_schema
    assert schema.findings(ORDER) == []
    assert schema.findings(ORDER | {"totalAmount": 209.97}) == ['totalAmount: 209.97 is not of type "string"']
    assert schema.findings({**ORDER, "items": [{**ITEMS[0], "quantity": -1}]})
    for price in ("-29.99", "NaN", "9" * 30):
        (finding,) = schema.findings({**ORDER, "items": [{**ITEMS[0], "price": price}]})
        assert finding.startswith("items.0.price")


def test_too_many_items_are_one_finding_that_is_short_and_names_the_limit() -> None:
    (finding,) = create_order().input_schema.findings({**ORDER, "items": ITEMS[:1] * 1_000})
    assert "100" in finding
    assert len(finding) < 300


def test_all_steps_done_tell_order_and_invoice() -> None:
    run = run_until(None)
    assert run.saga.phase is Phase.SUCCEEDED
    assert run.saga.result == {"orderId": "o-1", "invoiceId": "i-1"}


def test_every_call_carries_the_saga_and_what_the_step_needs() -> None:
    run = run_until("reserve-inventory")
    assert body_of(run, "reserve-inventory") == {"sagaId": run.saga.id, "items": ORDER["items"]}
    assert body_of(run, "process-payment")["amount"] == "209.97"


def test_the_invoice_names_the_order_that_was_made() -> None:
    body = body_of(run_until("issue-invoice"), "issue-invoice")
    assert body["orderId"] == "o-1"
    assert body["items"] == NAMED


@pytest.mark.parametrize("failing", ["reserve-inventory", "process-payment", "create-order", "issue-invoice"])
def test_whichever_step_fails_those_before_it_are_undone_in_reverse_order(failing: str) -> None:
    run = run_until(failing)
    run.refused(failing)
    undone = []
    while run.saga.phase is Phase.COMPENSATING:
        name = run.asked[0].removeprefix("undo ").split("#")[0]
        request = compensation_request(run.definition, run.saga, run.step(name), 1)
        assert msgspec.json.decode(request.message.body) == {"sagaId": run.saga.id}
        undone.append(name)
        run.done(name)
    assert (view(run.definition, run.saga).message or "").startswith(f"Order creation failed: {failing}: ")
    names = list(REPLIES)
    assert undone == names[: names.index(failing)][::-1]
    assert run.saga.phase is Phase.COMPENSATED


def test_a_revision_is_named_by_all_that_decides_how_a_saga_runs() -> None:
    same = revision_of(SPEC, PARTICIPANTS)
    assert same == revision_of(SPEC, dict(reversed(PARTICIPANTS.items())))
    moved = {n: msgspec.structs.replace(p, url="http://elsewhere") for n, p in PARTICIPANTS.items()}
    assert revision_of(SPEC, moved) == same
    forgetful = {n: msgspec.structs.replace(p, idempotency="None") for n, p in PARTICIPANTS.items()}
    assert revision_of(SPEC, forgetful) != same
    assert revision_of(msgspec.structs.replace(SPEC, deadline="1h"), PARTICIPANTS) != same


@pytest.mark.parametrize(("field", "written"), [("failure_message", b"failureMessage"), ("log_fields", b"logFields")])
def test_a_definition_without_a_newer_field_keeps_the_revision_it_had_before(field: str, written: bytes) -> None:
    assert written in msgspec.json.encode(SPEC)
    assert written not in msgspec.json.encode(msgspec.structs.replace(SPEC, **{field: msgspec.UNSET}))


def test_log_lines_have_the_customer_and_the_order_once_there_is_one() -> None:
    begun, ended = Run(create_order(), saga_input=ORDER), run_until("confirm-order")
    assert log_fields(begun.definition, begun.saga) == {"customerId": ORDER["customerId"]}
    assert log_fields(ended.definition, ended.saga) == {"customerId": ORDER["customerId"], "orderId": "o-1"}


def test_a_long_value_is_cut_in_a_log_line() -> None:
    run = Run(create_order(), saga_input={**ORDER, "customerId": "x" * 1000})
    assert log_fields(run.definition, run.saga) == {"customerId": "x" * LOGGED_CHARACTERS}
