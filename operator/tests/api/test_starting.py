"""POST .../sagas: what is taken, what is a repetition, what is refused, and what waiting means."""

import asyncio
import json
from collections.abc import Awaitable, Callable

import httpx
import pytest
from fastapi import FastAPI, Request, Response

from kompensa.api.app import application
from kompensa.api.auth import Authentication
from tests.support.api_client import Api, slug
from tests.support.scripted_transport import REFUSED, WRONG

SAGAS = "/v1/namespaces/shop/sagas"
SAGA = "0b8a3c5e-0000-4000-8000-000000000001"


async def test_a_new_saga_is_202_and_a_repetition_200(api: Api) -> None:
    first = await api.start(idempotencyKey="cart-1", input={"order": "a"})
    second = await api.start(idempotencyKey="cart-1", input={"order": "a"})
    assert (first.status_code, second.status_code) == (202, 200)
    assert first.json()["id"] == second.json()["id"]


async def test_a_key_with_another_input_is_409(api: Api) -> None:
    first = await api.start(idempotencyKey="cart-1", input={"order": "a"})
    refused = await api.start(idempotencyKey="cart-1", input={"order": "b"})
    assert slug(refused) == (409, "idempotency-key-reused")
    assert first.json()["id"] in refused.json()["detail"]
    assert "use a new key" in refused.json()["detail"]


async def test_waiting_returns_at_the_end(api: Api) -> None:
    answer = await api.start(wait="5s")
    assert (answer.status_code, answer.json()["phase"], answer.json()["progress"]) == (200, "Succeeded", "2/2")


async def test_waiting_returns_when_the_saga_was_undone_or_needs_a_person(api: Api) -> None:
    api.world.transport.answer("action pay", REFUSED, WRONG)
    assert (await api.start(wait="5s")).json()["phase"] == "Compensated"
    assert (await api.start(wait="5s")).json()["phase"] == "InterventionRequired"


async def test_waiting_ends_in_time_with_what_is_known(api: Api) -> None:
    api.world.transport.hold("action pay")
    answer = await api.start(wait="2s")
    assert (answer.status_code, answer.json()["phase"], answer.json()["step"]) == (202, "Running", "pay")
    api.world.transport.release("action pay")


async def test_nobody_waits_longer_than_the_api_allows(api: Api) -> None:
    api.world.transport.hold("action pay")
    began = asyncio.get_running_loop().time()
    await api.start(wait="24h")
    assert asyncio.get_running_loop().time() - began < 61
    api.world.transport.release("action pay")


async def test_waiting_for_a_repetition_waits_for_the_same_saga(api: Api) -> None:
    api.world.transport.hold("action pay")
    await api.start(id=SAGA)
    waiting = asyncio.create_task(api.start(id=SAGA, wait="30s"))
    await asyncio.sleep(1)
    api.world.transport.release("action pay")
    answer = await waiting
    assert (answer.status_code, answer.json()["phase"]) == (200, "Succeeded")


async def test_an_unknown_definition_is_404_and_names_what_exists(api: Api) -> None:
    refused = await api.start(definition="ordre")
    assert slug(refused) == (404, "unknown-definition")
    assert "there are: order" in refused.json()["detail"]


async def test_input_that_does_not_fit_is_422_with_every_finding(api: Api) -> None:
    refused = await api.start(input={"order": 7, "quantity": -1})
    assert slug(refused) == (422, "input-invalid")
    assert {finding.partition(":")[0] for finding in refused.json()["findings"]} == {"order", "quantity"}


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"", (422, "body-invalid"), "definition"),
        (b"{}", (422, "body-invalid"), "definition"),
        (b"[]", (422, "body-invalid"), "object"),
        (b'{"definition":"order","inputs":{}}', (422, "body-invalid"), "inputs"),
        (b'{"definition":"order","id":"7"}', (422, "body-invalid"), "$.id"),
        (b'{"definition":"order","id":"%s\\n"}' % SAGA.encode(), (422, "body-invalid"), "$.id"),
        (b'{"definition":"order\\n"}', (422, "body-invalid"), "$.definition"),
        (b'{"definition":"order","ttlSecondsAfterFinished":-1}', (422, "body-invalid"), "ttlSecondsAfterFinished"),
        (b'{"definition":"order","idempotencyKey":""}', (422, "body-invalid"), "idempotencyKey"),
        (b'{"definition":"order","deletionPolicy":"Forget"}', (422, "body-invalid"), "deletionPolicy"),
        (b'{"definition":', (400, "not-json"), "not JSON"),
        (b"\xff\xfe", (400, "not-json"), "not JSON"),
        (b'{"definition":"order","name":"\\ud800"}', (400, "not-json"), "not JSON"),
        (b'{"definition":"order","input":{"a":' + b"[" * 5000, (400, "not-json"), "not JSON"),
    ],
)
async def test_a_body_that_cannot_be_read_is_refused_by_field(
    api: Api, body: bytes, status: tuple[int, str], said: str
) -> None:
    refused = await api.client.post(SAGAS, content=body)
    assert slug(refused) == status
    assert said in refused.json()["detail"]


async def test_a_wait_that_is_no_duration_is_422(api: Api) -> None:
    refused = await api.start(wait="soon")
    assert slug(refused) == (422, "parameter-invalid")
    assert "soon" in refused.json()["detail"]


async def test_an_input_that_is_too_large_is_413_and_says_what_to_do(api: Api) -> None:
    refused = await api.start(input={"order": "x" * 300_000})
    assert slug(refused) == (413, "input-too-large")
    assert "pass a reference" in refused.json()["detail"]


async def test_more_sagas_than_agreed_are_429_with_patience(api: Api) -> None:
    api.world.transport.hold("action reserve")
    api.world.first.sagas._max_in_flight = 1
    await api.start()
    refused = await api.start()
    assert slug(refused) == (429, "overloaded")
    assert refused.headers["retry-after"] == "1"
    api.world.transport.release("action reserve")


async def test_without_a_journal_a_start_is_503_with_patience(api: Api) -> None:
    with api.world.journal_away():
        refused = await api.start()
    assert slug(refused) == (503, "not-ready")
    assert refused.headers["retry-after"] == "1"


async def test_a_write_that_the_journal_cannot_hold_is_422(api: Api) -> None:
    api.world.links[api.world.first].poisonous = lambda _: True
    assert slug(await api.start()) == (422, "not-storable")


async def test_a_fault_of_ours_is_a_problem_document_without_a_traceback(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise KeyError("a secret detail")

    monkeypatch.setattr(api.world.first.sagas, "start", broken)
    refused = await api.start()
    assert slug(refused) == (500, "internal-error")
    assert "secret" not in refused.text


async def test_numbers_and_texts_of_an_input_arrive_as_they_were_sent(api: Api) -> None:
    schema: dict[str, object] = {}
    spec = {
        "inputSchema": schema,
        "steps": [
            {
                "name": "reserve",
                "participantRef": {"name": "stub"},
                "action": {"http": {"path": "/reserve", "body": {"all": "${input}"}}},
                "compensation": {"http": {"path": "/undo"}},
            }
        ],
    }
    await api.world.first.declarations.put_definition("shop", "echo", spec)
    sent = {"price": "29.99", "n": 9_007_199_254_740_993, "text": "Grüße 🎈 \u2028", "list": [True, None, -1]}
    assert (await api.start(definition="echo", input=sent, wait="5s")).json()["phase"] == "Succeeded"
    assert json.loads(api.world.transport.requests[-1].message.body) == {"all": sent}


async def test_middleware_covers_the_start_of_a_saga(api: Api) -> None:
    """Such as one for CORS or tracing: no route may be exempt from it."""
    app = application(api.world.first, token=None)
    assert isinstance(app, Authentication)
    assert isinstance(app._app, FastAPI)
    seen: list[str] = []

    async def note(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        seen.append(request.url.path)
        return await call_next(request)

    app._app.middleware("http")(note)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://engine") as client:
        assert (await client.post(SAGAS, json={"definition": "order", "input": {"order": "a"}})).status_code == 202
    assert seen == [SAGAS]
