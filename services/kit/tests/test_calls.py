"""Headers and body of a call are read, without a server."""

from __future__ import annotations

import uuid

import pytest

from kompensa_participant.calls import fingerprint_of, read_key
from kompensa_participant.problem import Problem

SAGA = uuid.UUID("6f1d2a3b-4c5d-4e6f-8a7b-9c0d1e2f3a4b")


def test_a_key_names_saga_step_and_direction() -> None:
    assert read_key(f"{SAGA}/reserve/action", "action") == (SAGA, "reserve")


@pytest.mark.parametrize(
    "key", [f"{SAGA}", f"{SAGA}/reserve", f"{SAGA}/a/b/action", f"{SAGA}/{'x' * 64}/action", f"{SAGA}/reserve/undo"]
)
def test_what_is_not_such_a_key_is_told_apart(key: str) -> None:
    with pytest.raises(Problem) as refused:
        read_key(key, "action")
    assert (refused.value.status, refused.value.slug) == (400, "idempotency-key-invalid")


def test_the_order_of_members_does_not_make_another_request() -> None:
    assert fingerprint_of("POST", "/x", {"a": 1, "b": 2}) == fingerprint_of("POST", "/x", {"b": 2, "a": 1})


@pytest.mark.parametrize(("path", "body"), [("/y", {"a": 1}), ("/x", {"a": 2}), ("/x", {"a": "1"}), ("/x", None)])
def test_another_path_or_value_makes_another_request(path: str, body: object) -> None:
    assert fingerprint_of("POST", path, body) != fingerprint_of("POST", "/x", {"a": 1})
