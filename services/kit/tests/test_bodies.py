"""Answers to a body that cannot be read, without a database: on an endpoint of the framework and a saga's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

import httpx
import pytest
from fastapi import Depends, FastAPI

from kompensa_participant import Message, calls, errors

SAGA = "0b8a3c5e-0000-4000-8000-000000000001"
HEADERS = {"Idempotency-Key": f"{SAGA}/step/action"}
JSON = {"Content-Type": "application/json"}


class Body(Message):
    points: int


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    errors.install(app)
    app.state.faults_enabled = True

    @app.put("/plain")
    @app.put("/step", dependencies=[Depends(calls.read_action)])
    async def take(body: Body) -> Body:
        return body

    @app.put("/bare")
    async def bare(call: Annotated[calls.Call, Depends(calls.read_action)]) -> str:
        return call.operation.key

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x", headers=HEADERS) as client:
        yield client


def problem(reply: httpx.Response) -> tuple[int, str]:
    assert reply.headers["content-type"] == "application/problem+json"
    return reply.status_code, reply.json()["detail"]


@pytest.mark.parametrize("path", ["/plain", "/step", "/bare"])
@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b'{"a":}', "body: not valid JSON at character 5"),
        (b"{", "body: not valid JSON at character 1"),
        (b'{"a": "\xff"}', "body: not valid JSON at byte 7: not UTF-8"),
        (b"[" * 100_000, "body: not valid JSON: nested too deeply"),
        (b'{"a": ' + b"9" * 5000 + b"}", "body: not valid JSON: a number has too many digits"),
    ],
)
async def test_what_is_no_json_is_one_refusal_that_says_where(
    client: httpx.AsyncClient, path: str, body: bytes, told: str
) -> None:
    reply = await client.put(path, content=body, headers=JSON)
    assert problem(reply) == (422, told)
    assert reply.json()["errors"] == [{"field": "body", "message": told.removeprefix("body: ")}]


@pytest.mark.parametrize("path", ["/plain", "/step", "/bare"])
@pytest.mark.parametrize("headers", [{}, {"Content-Type": "text/plain"}, {"Content-Type": "nonsense"}])
async def test_a_body_of_another_type_is_told_which_to_send(
    client: httpx.AsyncClient, path: str, headers: dict[str, str]
) -> None:
    status, detail = problem(await client.put(path, content=b'{"points": 1}', headers=headers))
    assert status == 415
    assert "Content-Type: application/json" in detail


@pytest.mark.parametrize(
    "media_type", ["application/json", "Application/JSON", "application/json; charset=utf-8", "application/x+json"]
)
async def test_json_by_any_of_its_types_is_read(client: httpx.AsyncClient, media_type: str) -> None:
    reply = await client.put("/step", content=b'{"points": 1}', headers={"Content-Type": media_type})
    assert (reply.status_code, reply.json()) == (200, {"points": 1})


async def test_a_body_that_is_missing_is_a_field_that_is_missing(client: httpx.AsyncClient) -> None:
    assert problem(await client.put("/plain")) == (422, "body: Field required")


@pytest.mark.parametrize("attempt", ["9" * 5000, "two", "", "-1", "٣"])
async def test_an_attempt_that_is_no_number_is_the_first(client: httpx.AsyncClient, attempt: str) -> None:
    fault = {"Kompensa-Fault": "delay; attempts=1"}
    headers = httpx.Headers({**JSON, **fault}, encoding="utf-8")
    headers["Saga-Attempt"] = attempt
    reply = await client.put("/step", content=b'{"points": 1}', headers=headers)
    assert reply.status_code == 200
