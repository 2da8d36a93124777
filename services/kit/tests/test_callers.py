"""Every route of every service as every caller: the table decides, and nothing runs before it has decided."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator, MutableMapping
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from structlog.testing import capture_logs

from kompensa_participant import Service
from kompensa_participant.body_limit import BODY_LIMIT
from kompensa_participant.callers.access import EVERY_SERVICE, AccessTable, GuardedRoute
from kompensa_participant.settings import Settings
from tests.support.services import SERVICES

ID = "0b8a3c5e-0000-4000-8000-000000000001"
SECRET = "not-for-the-log-"


class Desk:
    """A service with a token for each caller of its table. No database: a request that passes the check fails later."""

    def __init__(self, name: str, folder: Path) -> None:
        self.service: Service = import_module(f"{name}.app").service
        rows = (*self.service.access, *EVERY_SERVICE)
        self.table = AccessTable(self.service.app(Settings(database_url="postgresql://nowhere")), rows)
        self.tokens = {caller: f"{SECRET}{caller}-{name}" for caller in self.table.callers}
        for caller, token in self.tokens.items():
            (folder / caller).write_text(token)
        settings = Settings(database_url="postgresql://nowhere", caller_tokens_dir=str(folder))
        self.app: FastAPI = self.service.app(settings)
        self.app.state.pool = None
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://x")

    async def ask(self, route: GuardedRoute, *authorization: str | bytes) -> httpx.Response:
        """A request without a body, so that a route that is reached says 422 or fails for want of a database."""
        method, _, path = route.name.partition(" ")
        path = path.replace("{step}", "a-step").replace("{direction}", "action").replace("{method_id}", "pm-1")
        path = re.sub(r"\{[a-z_]+_id\}", ID, path)
        assert "{" not in path, f"{path}: add a value for the parameter"
        headers = [("Authorization", value) for value in authorization]
        return await self.client.request(method, path, headers=headers)  # type: ignore[arg-type]

    @property
    def closed(self) -> list[GuardedRoute]:
        return [route for route in self.table.routes if not route.is_open]


@pytest.fixture(params=SERVICES, scope="module")
def desk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    with capture_logs() as logs:
        desk = Desk(request.param, tmp_path_factory.mktemp("tokens"))
    assert SECRET not in str(logs)
    return desk


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return Desk("inventory", tmp_path_factory.mktemp("tokens"))


@pytest.fixture(autouse=True)
def _no_token_in_the_log() -> Iterator[None]:
    with capture_logs() as logs:
        yield
    assert logs
    assert SECRET not in str(logs)


def verdict(reply: httpx.Response) -> str | None:
    """The reason of a refusal by the check; None for a request that passed it."""
    if reply.status_code not in (401, 403):
        return None
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.headers["www-authenticate"].startswith("Bearer realm=")
    assert SECRET not in reply.text
    return f"{reply.status_code} {reply.json()['type'].rpartition(':')[2]}"


async def test_every_route_answers_the_callers_of_its_row_only(desk: Desk) -> None:
    for route in desk.table.routes:
        for caller, token in desk.tokens.items():
            allowed = route.is_open or caller in route.callers
            found = verdict(await desk.ask(route, f"Bearer {token}"))
            assert found == (None if allowed else "403 caller-not-allowed"), f"{caller}: {route.name}"


async def test_every_route_that_is_not_open_needs_a_token(desk: Desk) -> None:
    for route in desk.table.routes:
        expected = None if route.is_open else "401 token-missing"
        assert verdict(await desk.ask(route)) == expected, route.name


async def test_the_token_of_another_service_or_one_that_was_removed_is_unknown(desk: Desk) -> None:
    for route in desk.closed:
        assert verdict(await desk.ask(route, f"Bearer {SECRET}engine-elsewhere")) == "401 token-unknown"


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
async def test_the_scheme_may_be_in_any_case(desk: Desk, scheme: str) -> None:
    for route in desk.closed:
        caller = min(route.callers)
        assert verdict(await desk.ask(route, f"{scheme}  {desk.tokens[caller]} ")) is None


@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Bearer ",
        "Bearer  \t ",
        "",
        "Basic dXNlcjpwYXNzd29yZA==",
        f"Bearer {SECRET}{'x' * 600}",
        f"Bearer {SECRET}café".encode(),
        f"Bearer {SECRET}\x01",
        f"Bearer {SECRET} {SECRET}",
    ],
)
async def test_a_token_of_no_possible_form_is_malformed(desk: Desk, header: str | bytes) -> None:
    for route in desk.closed:
        assert verdict(await desk.ask(route, header)) == "401 token-malformed"


async def test_two_tokens_are_malformed_even_if_one_is_right(desk: Desk) -> None:
    for route in desk.closed:
        right = f"Bearer {desk.tokens[min(route.callers)]}"
        assert verdict(await desk.ask(route, right, right)) == "401 token-malformed"


async def test_a_body_is_not_read_before_the_caller_is_known(desk: Desk) -> None:
    read = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal read
        read += 1
        yield b"{}"

    for route in desk.closed:
        method, _, path = route.name.partition(" ")
        reply = await desk.client.request(method, path, content=body(), headers={"Content-Type": "application/json"})
        assert verdict(reply) == "401 token-missing"
    assert read == 0


async def test_the_body_of_a_known_caller_is_limited(desk: Desk) -> None:
    for route in desk.closed:
        method, _, path = route.name.partition(" ")
        bearer = {"Authorization": f"Bearer {desk.tokens[min(route.callers)]}"}
        reply = await desk.client.request(method, path, content=b" " * (BODY_LIMIT + 1), headers=bearer)
        assert reply.status_code == 413


async def raw_status(app: FastAPI, method: str, path: str) -> int:
    """The status of a request whose path no client has tidied; the server has decoded it."""
    scope = {"type": "http", "method": method, "path": path, "headers": [(b"host", b"x")], "query_string": b""}
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    status: int = sent[0]["status"]
    return status


@pytest.mark.parametrize("target", ["/st%6Fck", "/%73tock", "/stock?x=/healthz", "/stock?token=x"])
async def test_a_path_in_other_spelling_needs_the_same_token(stock: Desk, target: str) -> None:
    assert verdict(await stock.client.get(target)) == "401 token-missing"


@pytest.mark.parametrize(
    "path",
    ["//stock", "/stock//", "/./stock", "/docs/../stock", "/healthz/../stock", "/docs/files/../../stock", "/STOCK"],
)
async def test_a_path_that_only_resembles_a_route_reaches_none(stock: Desk, path: str) -> None:
    """Neither the router nor the check joins or resolves segments. Slashes at the end are answered by a redirect."""
    assert await raw_status(stock.app, "GET", path) == (307 if path == "/stock//" else 404)


async def test_a_slash_at_the_end_leads_to_the_route_that_needs_the_token(stock: Desk) -> None:
    reply = await stock.client.get("/stock/")
    assert (reply.status_code, reply.headers["location"]) == (307, "http://x/stock")
    assert verdict(await stock.client.get(reply.headers["location"])) == "401 token-missing"


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "TRACE", "PATCH", "get", "Get"])
async def test_a_method_that_a_route_does_not_have_reaches_nothing(stock: Desk, method: str) -> None:
    """Methods are case-sensitive (RFC 9110)."""
    assert await raw_status(stock.app, method, "/stock") == 405


async def test_the_description_says_which_operations_need_a_token(desk: Desk) -> None:
    paths = (await desk.client.get("/openapi.json")).json()["paths"]
    described = {
        f"{verb.upper()} {path}" for path, found in paths.items() for verb, it in found.items() if it.get("security")
    }
    assert described == {route.name for route in desk.closed}


async def test_a_path_without_a_route_needs_no_token(desk: Desk) -> None:
    assert (await desk.client.get("/no-such-path")).status_code == 404
    assert (await desk.client.request("PATCH", "/healthz")).status_code == 405
