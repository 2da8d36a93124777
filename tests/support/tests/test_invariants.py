"""Each invariant is shown to notice a planted defect: a checker that cannot fail proves nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from tests.support.invariants import Effect, Entry, Ledgers, Operation, Stock, violations

START = datetime(2026, 1, 1, tzinfo=UTC)
STEPS = ("reserve-inventory", "process-payment", "create-order")
KINDS = ("reservation", "payment", "order", "invoice")


def operation(step: str, direction: str, second: int) -> Operation:
    return Operation(
        saga_id="undone", step=step, direction=direction, state="Succeeded", at=START + timedelta(seconds=second)
    )


@pytest.fixture
def clean() -> Ledgers:
    """One saga that succeeded and one that was undone, with nothing wrong."""
    amount = Decimal("209.97")
    return Ledgers(
        phases={"done": "Succeeded", "undone": "Compensated"},
        orders={"done", "undone"},
        stock=[Stock(product_id="p", initial=10, on_hand=7, reserved=3, sold=0)],
        captured=2 * amount,
        refunded=amount,
        effects=[
            *(Effect(saga_id="done", kind=kind, standing=True, amount=amount) for kind in KINDS),
            *(Effect(saga_id="undone", kind=kind, standing=False, amount=amount) for kind in KINDS[:3]),
        ],
        entries=[Entry(saga_id="done", kind="capture"), Entry(saga_id="undone", kind="refund")],
        operations=[
            *(operation(step, "action", second) for second, step in enumerate(STEPS)),
            *(operation(step, "compensation", 10 + second) for second, step in enumerate(reversed(STEPS))),
        ],
        authority={"c": {"email": "a@example.com", "phone": "1"}},
        copies={"invoices": {"c": {"email": "a@example.com"}}},
    )


def test_nothing_is_found_if_nothing_is_wrong(clean: Ledgers) -> None:
    assert violations(clean) == []


def test_a_charge_without_an_order_is_found(clean: Ledgers) -> None:
    assert any(v.startswith("I1") for v in violations(replace(clean, refunded=Decimal(0))))


@pytest.mark.parametrize(("on_hand", "reserved"), [(8, 3), (11, -1)])
def test_stock_that_does_not_add_up_or_is_negative_is_found(clean: Ledgers, on_hand: int, reserved: int) -> None:
    wrong = Stock(product_id="p", initial=10, on_hand=on_hand, reserved=reserved, sold=0)
    assert any(v.startswith("I2") for v in violations(replace(clean, stock=[wrong])))


@pytest.mark.parametrize("kind", KINDS)
def test_an_effect_of_an_undone_saga_is_found(clean: Ledgers, kind: str) -> None:
    orphan = Effect(saga_id="undone", kind=kind, standing=True)
    assert any("I3 orphan" in v for v in violations(replace(clean, effects=[*clean.effects, orphan])))


def test_an_effect_of_an_unknown_saga_is_found(clean: Ledgers) -> None:
    orphan = Effect(saga_id="never-heard-of", kind="reservation", standing=True)
    assert any("absent" in v for v in violations(replace(clean, effects=[*clean.effects, orphan])))


def test_a_succeeded_saga_without_its_invoice_is_found(clean: Ledgers) -> None:
    effects = [e for e in clean.effects if not (e.saga_id == "done" and e.kind == "invoice")]
    assert any("I3 not whole" in v for v in violations(replace(clean, effects=effects)))


@pytest.mark.parametrize("phase", ["Running", "Compensating", "InterventionRequired"])
def test_a_saga_that_did_not_end_is_found(clean: Ledgers, phase: str) -> None:
    moving = replace(clean, phases={**clean.phases, "x": phase}, orders={*clean.orders, "x"})
    assert any(v.startswith("I4") for v in violations(moving))


@pytest.mark.parametrize("phase", ["Running", "InterventionRequired", "Succeeded"])
def test_a_saga_that_places_no_order_here_owes_nothing(clean: Ledgers, phase: str) -> None:
    assert violations(replace(clean, phases={**clean.phases, "of-another-shop": phase})) == []


def test_an_effect_that_happened_twice_is_found(clean: Ledgers) -> None:
    again = [*clean.entries, Entry(saga_id="undone", kind="refund")]
    assert any(v.startswith("I5") for v in violations(replace(clean, entries=again)))


def test_compensations_in_the_wrong_order_are_found(clean: Ledgers) -> None:
    forward = [
        *(operation(step, "action", second) for second, step in enumerate(STEPS)),
        *(operation(step, "compensation", 10 + second) for second, step in enumerate(STEPS)),
    ]
    assert any("I6 order" in v for v in violations(replace(clean, operations=forward)))


def test_a_half_undone_saga_is_found(clean: Ledgers) -> None:
    half = [o for o in clean.operations if not (o.direction == "compensation" and o.step == STEPS[0])]
    assert any("I6 half" in v for v in violations(replace(clean, operations=half)))


def test_a_stale_missing_or_surplus_copy_is_found(clean: Ledgers) -> None:
    stale = {"invoices": {"c": {"email": "old@example.com"}}}
    surplus = {"invoices": {"c": {"email": "a@example.com"}, "d": {"email": "d@example.com"}}}
    missing: dict[str, dict[str, dict[str, str]]] = {"invoices": {}}
    for copies in (stale, surplus, missing):
        assert any(v.startswith("I9") for v in violations(replace(clean, copies=copies)))
