"""`python -m tests.bench.advance`: what the model costs the engine, in microseconds on one core. Prints, judges not.

The saga is the shop's `create-order` (six steps) with every reply a success, and the four of its steps that cost no
write of their own; the same through `must_commit_first` and with every request built.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import yaml

from kompensa.model.definition import Definition
from kompensa.model.durability import must_commit_first
from kompensa.model.events import Accepted, Event, Replied
from kompensa.model.linter import lint
from kompensa.model.outcomes import Direction, Outcome
from kompensa.model.parsing import compile_definition, parse_definition, parse_participant
from kompensa.model.requests import action_request
from kompensa.model.saga import Saga, new_saga
from kompensa.model.transition import advance
from kompensa.model.view import view

SHOP = Path(__file__).parents[2] / "manifests" / "shop"
ITEMS: list[dict[str, Any]] = [
    {"productId": "0b8a3c5e-0000-4000-8000-0000000000a1", "quantity": 2, "price": "29.99"},
    {"productId": "0b8a3c5e-0000-4000-8000-0000000000a2", "quantity": 1, "price": "149.99"},
]
ORDER: dict[str, Any] = {
    "customerId": "0b8a3c5e-0000-4000-8000-0000000000c1",
    "items": ITEMS,
    "totalAmount": "209.97",
    "paymentMethodId": "pm-abc",
}
REPLY: dict[str, Any] = {
    **dict.fromkeys(("reservationId", "paymentId", "orderId", "invoiceId"), "0b8a3c5e-0000-4000-8000-0000000000d1"),
    "items": [{**item, "productName": "Mug"} for item in ITEMS],
}
NOW = 1_700_000_000.0
ROUNDS = 7
REPEATS = 2000


def main() -> None:
    spec = parse_definition(yaml.safe_load((SHOP / "create-order.yaml").read_text())["spec"])
    documents = yaml.safe_load_all((SHOP / "participants.yaml").read_text())
    participants = {d["metadata"]["name"]: parse_participant(d["spec"]) for d in documents if d}

    def compiled() -> Definition:
        return compile_definition(namespace="shop", name="create-order", spec=spec, participants=participants)

    definition = compiled()
    events = _events(definition)
    running = _driven(definition, events[:3])
    four = _of_four_steps(definition)
    show("four steps: advance, must_commit_first, requests", lambda: _whole(four, _events(four)))
    show("create-order: advance alone", lambda: _driven(definition, events))
    show("create-order: advance, must_commit_first, requests", lambda: _whole(definition, events))
    show("one transition", lambda: advance(definition, running, events[3], NOW))
    show("one request", lambda: action_request(definition, running, definition.steps[2], 1))
    show("one view", lambda: view(definition, running))
    show("state to JSON", lambda: msgspec.json.encode(running))
    show("input against its schema", lambda: definition.input_schema.findings(ORDER))
    show("lint a definition", lambda: lint(spec, participants), repeats=20)
    show("compile a definition", compiled, repeats=20)


def show(what: str, work: Callable[[], Any], *, repeats: int = REPEATS) -> None:
    """Print the best of some rounds: the others were disturbed by the machine, not by the code."""
    best = float("inf")
    gc.disable()
    for _ in range(ROUNDS):
        started = time.perf_counter()
        for _ in range(repeats):
            work()
        best = min(best, time.perf_counter() - started)
    gc.enable()
    print(f"{best / repeats * 1e6:10.1f} µs  {what}")


def _of_four_steps(definition: Definition) -> Definition:
    return msgspec.structs.replace(definition, steps=definition.steps[:4])


def _events(definition: Definition) -> list[Event]:
    replies: list[Event] = [
        Replied(step=step.index, direction=Direction.ACTION, attempt=1, outcome=Outcome.SUCCEEDED, reply=REPLY)
        for step in definition.steps
    ]
    return [Accepted(), *replies]


def _new(definition: Definition) -> Saga:
    return new_saga(
        saga_id="0b8a3c5e-0000-4000-8000-000000000001",
        namespace="shop",
        name="order-1",
        definition=definition.name,
        revision=definition.revision,
        steps=len(definition.steps),
        saga_input=ORDER,
        now=NOW,
    )


def _driven(definition: Definition, events: list[Event]) -> Saga:
    saga = _new(definition)
    for event in events:
        saga = advance(definition, saga, event, NOW).saga
    return saga


def _whole(definition: Definition, events: list[Event]) -> None:
    """The engine's work for one saga, without calls and writes."""
    saga = _new(definition)
    for number, event in enumerate(events):
        decided = advance(definition, saga, event, NOW)
        must_commit_first(definition, saga, decided.saga, decided.commands)
        saga = decided.saga
        if number < len(definition.steps):
            action_request(definition, saga, definition.steps[number], 1)


if __name__ == "__main__":
    main()
