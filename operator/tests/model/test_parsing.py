"""Decoding specs: an error is one line with the field and the expected form."""

from typing import Any

import pytest

from kompensa.model.parsing import SpecError, parse_definition, parse_participant, parse_saga

STEP: dict[str, Any] = {
    "name": "reserve",
    "participantRef": {"name": "inventory"},
    "action": {"http": {"method": "POST", "path": "/reservations"}},
}


def with_step(**changes: object) -> dict[str, Any]:
    return {"steps": [STEP | changes]}


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({}, "spec: object missing required field steps"),
        ({"steps": []}, "spec.steps: expected array of length >= 1"),
        ({"steps": [STEP] * 51}, "spec.steps: expected array of length <= 50"),
        ({"steps": "reserve"}, "spec.steps: expected array, got str"),
        (with_step(kind="Pivot"), "spec.steps[0].kind: expected one of Compensatable, Retriable, got 'Pivot'"),
        (with_step(name="Reserve!"), "spec.steps[0].name: expected lower-case letters, digits and '-'"),
        (with_step(participantRef="inventory"), "spec.steps[0].participantRef: expected object, got str"),
        (with_step(dependson=[]), "spec.steps[0]: object contains unknown field dependson"),
        (with_step(timeouts={"attempt": 2}), "spec.steps[0].timeouts.attempt: expected str | null, got int"),
        (with_step(timeouts={"attempt": "2 s"}), "spec.steps[0].timeouts.attempt: expected a duration"),
        (
            with_step(action={"http": {"path": "http://inventory/x"}}),
            "spec.steps[0].action.http.path: expected a path that starts with '/'",
        ),
        (with_step(action={}), "spec.steps[0].action: object missing required field http"),
        (
            {"steps": [STEP], "retryPolicy": {"maximumAttempts": 0}},
            "spec.retryPolicy.maximumAttempts: expected int >= 1",
        ),
        ({"steps": [STEP], "retryPolicy": {"jitter": 2}}, "spec.retryPolicy.jitter: expected float <= 1.0"),
        ({"steps": [STEP], "deadline": "soon"}, "spec.deadline: expected a duration"),
    ],
)
def test_a_definition_that_cannot_be_read_is_refused_in_one_line(spec: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_definition(spec)
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"url": "inventory:8080"}, "spec.url: expected an address such as http://inventory.shop.svc:8080"),
        ({"url": "http://me:secret@i"}, "spec.url: must hold no user or password; put a bearer token into a Secret"),
        ({"url": "http://i:abc"}, "spec.url: its port"),
        ({"url": "http://i:99999"}, "spec.url: its port"),
        ({"url": "http://i:0"}, "spec.url: its port"),
        ({"url": "http://[::1"}, "spec.url: its host is neither a name nor an IP address; write an address such as"),
        ({"url": "http://exa_mple..com"}, "spec.url: its host is neither a name nor an IP address"),
        ({"url": "http://:8080"}, "spec.url: its host is neither a name nor an IP address"),
        ({"url": "http://" + "i" * 64}, "spec.url: its host is neither a name nor an IP address"),
        ({"url": "http://" + "i." * 127 + "i"}, "spec.url: its host is neither a name nor an IP address"),
        ({"url": 'http://a"b'}, "spec.url: its host is neither a name nor an IP address"),
        ({"url": "http://i", "idempotency": "keyed"}, "spec.idempotency: expected one of Keyed, None, got 'keyed'"),
        ({"url": "http://i", "maxInFlight": 0}, "spec.maxInFlight: expected int >= 1"),
        ({}, "spec: object missing required field url"),
    ],
)
def test_a_participant_that_cannot_be_read_is_refused(spec: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_participant(spec)
    assert str(caught.value).startswith(said)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://inventory.shop.svc:8080/base",
        "https://exa_mple.com.",
        "http://10.0.0.1:65535",
        "http://[::1]:80",
        "http://b\N{LATIN SMALL LETTER U WITH DIAERESIS}cher.example",
    ],
)
def test_a_url_that_can_be_called_is_taken(url: str) -> None:
    assert parse_participant({"url": url}).url == url


def test_a_saga_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(SpecError, match=r"^spec.input: expected object, got array$"):
        parse_saga({"definitionRef": {"name": "create-order"}, "input": []})


def test_what_is_left_out_has_its_default() -> None:
    spec = parse_definition({"steps": [STEP]})
    assert spec.steps[0].kind == "Compensatable"
    assert spec.retry_policy.maximum_attempts == 6
    assert spec.compensation.retry_policy.maximum_attempts == 20
    assert parse_participant({"url": "http://inventory:8080"}).idempotency == "None"
    assert parse_saga({"definitionRef": {"name": "create-order"}}).deletion_policy == "Compensate"
