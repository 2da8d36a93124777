import pytest

from kompensa.client.engine_client import EngineProblemError
from kompensa.cluster.saga_refusal import pending, refusal, terminated


@pytest.mark.parametrize(
    ("slug", "reason"),
    [
        ("input-invalid", "InputInvalid"),
        ("idempotency-key-reused", "IdempotencyKeyReused"),
        ("", "Refused422"),
    ],
)
def test_a_problem_type_becomes_a_reason(slug: str, reason: str) -> None:
    assert refusal(EngineProblemError(422, slug, "input.items: missing", {})) == (reason, "input.items: missing")


def test_an_unknown_definition_names_the_known_ones() -> None:
    said = pending("place-ordr", "shop", ["create-order", "place-order"])
    assert said.phase == "Pending"
    assert "place-ordr" in said.message
    assert "create-order, place-order" in said.message
    assert {c.type: c.status for c in said.conditions} == {"Ready": "False", "Reconciling": "False", "Stalled": "True"}


def test_a_namespace_with_hundreds_of_definitions_keeps_the_message_short() -> None:
    assert len(pending("x", "shop", [f"definition-{n}" for n in range(500)]).message) < 1000


def test_a_saga_that_is_refused_keeps_the_time_at_which_it_was() -> None:
    said = terminated(("InputInvalid", "no"))
    first = said.fields({})
    assert said.fields(first | {"completionTime": "2026-01-01T00:00:00Z"})["completionTime"] == "2026-01-01T00:00:00Z"
    assert first["phase"] == "Terminated"
    assert first["completionTime"].endswith("Z")
