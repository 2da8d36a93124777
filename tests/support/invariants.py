"""Invariants of a quiet system, checked on plain rows of the services' own databases.

The functions are pure: they take the ledgers and return the violations as sentences. So the same checks serve the
end-to-end tests, the chaos run and the local stack, and planted defects can test them.
The engine's view is used for two things only: which sagas there are, and which phase each ended in. The numbers
I1..I9 are the names of the invariants in docs/concepts/reliability.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

TERMINAL = {"Succeeded", "Compensated", "Terminated"}


@dataclass(frozen=True, kw_only=True)
class Stock:
    """One product: what is there now and what it began with (pieces)."""

    product_id: str
    initial: int
    on_hand: int
    reserved: int
    sold: int


@dataclass(frozen=True, kw_only=True)
class Effect:
    """Something a saga left at a participant: a reservation, payment, order or invoice, standing or undone."""

    saga_id: str
    kind: str
    standing: bool
    amount: Decimal = Decimal(0)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line of an append-only ledger: an effect that happened, e.g. `capture` or `refund`."""

    saga_id: str
    kind: str


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One barrier row of a participant."""

    saga_id: str
    step: str
    direction: str
    state: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Ledgers:
    """Everything the invariants look at, read after quiescence.

    `phases` is of every saga that the engine knows, by id; `orders` are the ids of those that place an order in this
    shop. An engine serves other shops and other definitions too, and theirs leave nothing here.
    """

    phases: Mapping[str, str]
    orders: Collection[str]
    stock: Sequence[Stock] = ()
    captured: Decimal = Decimal(0)
    refunded: Decimal = Decimal(0)
    effects: Sequence[Effect] = ()
    entries: Sequence[Entry] = ()
    operations: Sequence[Operation] = ()
    authority: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    copies: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)


def violations(ledgers: Ledgers) -> list[str]:
    """Every invariant that does not hold, one sentence each; empty when all hold."""
    return [
        *money(ledgers),
        *stock(ledgers.stock),
        *orphans(ledgers),
        *ended(ledgers),
        *once(ledgers.entries),
        *order_of_compensations(ledgers.operations),
        *replicas(ledgers.authority, ledgers.copies),
    ]


def money(ledgers: Ledgers) -> list[str]:
    """I1: captured - refunded = the total of the orders that stand."""
    standing = sum((e.amount for e in ledgers.effects if e.kind == "order" and e.standing), Decimal(0))
    kept = ledgers.captured - ledgers.refunded
    return [] if kept == standing else [f"I1 money: {kept} kept by payments, {standing} in standing orders"]


def stock(products: Iterable[Stock]) -> list[str]:
    """I2: on hand + reserved + sold = initial, and nothing is negative."""
    found = []
    for product in products:
        if product.on_hand + product.reserved + product.sold != product.initial:
            found.append(f"I2 stock: {product} does not add up to {product.initial}")
        if min(product.on_hand, product.reserved, product.sold) < 0:
            found.append(f"I2 stock: {product} is negative")
    return found


def orphans(ledgers: Ledgers) -> list[str]:
    """I3: an effect stands only if its saga succeeded, and an order that succeeded has one of each kind."""
    kinds = {"reservation", "payment", "order", "invoice"}
    standing: dict[str, set[str]] = {}
    for effect in ledgers.effects:
        if effect.standing:
            standing.setdefault(effect.saga_id, set()).add(effect.kind)
    found = []
    for saga_id, kept in standing.items():
        phase = ledgers.phases.get(saga_id, "absent")
        if phase != "Succeeded":
            found.append(f"I3 orphan: saga {saga_id} is {phase}, yet {', '.join(sorted(kept))} stand")
    for saga_id in ledgers.orders:
        missing = kinds - standing.get(saga_id, set())
        if ledgers.phases[saga_id] == "Succeeded" and missing:
            found.append(f"I3 not whole: saga {saga_id} succeeded without {', '.join(sorted(missing))}")
    return found


def ended(ledgers: Ledgers) -> list[str]:
    """I4: every saga is in a terminal phase (a parked one is reported: no person intervened here)."""
    phases = {saga_id: ledgers.phases[saga_id] for saga_id in ledgers.orders}
    return [f"I4 not ended: saga {saga_id} is {phase}" for saga_id, phase in phases.items() if phase not in TERMINAL]


def once(entries: Iterable[Entry]) -> list[str]:
    """I5: one effect per saga and kind of entry."""
    counted = Counter((e.saga_id, e.kind) for e in entries)
    return [f"I5 twice: {kind} happened {n} times for saga {saga}" for (saga, kind), n in counted.items() if n > 1]


def order_of_compensations(operations: Iterable[Operation]) -> list[str]:
    """I6: within a saga, effects were undone in the reverse order in which they were made."""
    made: dict[str, list[tuple[datetime, str]]] = {}
    undone: dict[str, list[tuple[datetime, str]]] = {}
    for operation in operations:
        if operation.state != "Succeeded":
            continue
        target = made if operation.direction == "action" else undone
        target.setdefault(operation.saga_id, []).append((operation.at, operation.step))
    found = []
    for saga_id, compensations in undone.items():
        steps = [step for _, step in sorted(made.get(saga_id, []))]
        reverse = [step for _, step in sorted(compensations) if step in steps]
        expected = [step for step in reversed(steps) if step in reverse]
        if reverse != expected:
            found.append(f"I6 order: saga {saga_id} did {steps} and undid {reverse}")
        kept = [step for step in steps if step not in reverse]
        if kept:
            found.append(f"I6 half undone: saga {saga_id} undid {reverse} but kept {kept}")
    return found


def replicas(
    authority: Mapping[str, Mapping[str, Any]], copies: Mapping[str, Mapping[str, Mapping[str, Any]]]
) -> list[str]:
    """I9: each copy holds exactly the authority's rows, field by field for the fields it declares."""
    found = []
    for copy, rows in copies.items():
        found += [f"I9 {copy}: customer {key} is missing" for key in authority.keys() - rows.keys()]
        found += [f"I9 {copy}: customer {key} is gone at its owner" for key in rows.keys() - authority.keys()]
        for key in rows.keys() & authority.keys():
            found += [
                f"I9 {copy}: customer {key} has {name}={value!r}, its owner says {authority[key].get(name)!r}"
                for name, value in rows[key].items()
                if value != authority[key].get(name)
            ]
    return found
