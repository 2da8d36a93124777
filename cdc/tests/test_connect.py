"""A login in Kafka Connect's address is used, and shown nowhere."""

import pytest
from aiohttp import web
from aiohttp.test_utils import BaseTestServer, TestServer

from kompensa_cdc.capture.connect import Connect
from kompensa_cdc.capture.errors import ConnectError


def with_login(server: BaseTestServer) -> str:
    return str(server.make_url("")).replace("//", "//user:secret@")


def served(status: int) -> tuple[web.Application, list[str]]:
    """A Connect that answers everything so, and the logins that it was shown."""
    shown: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        shown.append(request.headers.get("Authorization", "-"))
        return web.json_response({"message": "no"}, status=status)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    return app, shown


async def test_a_login_in_the_address_is_used() -> None:
    app, shown = served(200)
    async with TestServer(app) as server, Connect(with_login(server)) as connect:
        await connect.config("orders")
    assert shown == ["Basic dXNlcjpzZWNyZXQ="]


async def test_a_login_in_the_address_is_not_shown_when_connect_refuses() -> None:
    app, _ = served(400)
    async with TestServer(app) as server, Connect(with_login(server)) as connect:
        with pytest.raises(ConnectError, match=f"at http://127.0.0.1:{server.port} refused") as caught:
            await connect.resume("orders")
    assert "secret" not in caught.value.message


@pytest.mark.parametrize("address", ["127.0.0.1:1", "connect:port", "[connect"])
async def test_a_login_in_the_address_is_not_shown_when_connect_does_not_answer(address: str) -> None:
    async with Connect(f"http://user:secret@{address}") as connect:
        with pytest.raises(ConnectError, match="does not answer") as caught:
            await connect.resume("orders")
    assert address in caught.value.message
    assert "secret" not in caught.value.message


def answering(reply: object) -> web.Application:
    """A Connect that answers everything with this."""

    async def answer(_: web.Request) -> web.Response:
        return web.json_response(reply)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    return app


SLOT = {"slot.name": "s", "database.hostname": "db", "database.port": "5432", "database.dbname": "orders"}


@pytest.mark.parametrize(
    ("other", "named"),
    [(SLOT, ["other"]), ({**SLOT, "slot.name": "t"}, []), ({**SLOT, "database.hostname": "db2"}, []), ({}, [])],
    ids=["the same slot", "another slot", "another server", "no database"],
)
async def test_only_a_connector_on_the_same_slot_is_in_the_way(other: dict[str, str], named: list[str]) -> None:
    reply = {"orders": {"info": {"config": SLOT}}, "other": {"info": {"config": other}}}
    async with TestServer(answering(reply)) as server, Connect(str(server.make_url(""))) as connect:
        assert await connect.others_on_slot(SLOT, "orders") == named


@pytest.mark.parametrize(
    ("offset", "done"),
    [
        ({"snapshot": "INITIAL", "snapshot_completed": False}, False),
        ({"snapshot": "INITIAL", "snapshot_completed": True}, True),
        (None, False),
    ],
)
async def test_a_table_is_read_once_debezium_says_so(offset: dict[str, object] | None, done: bool) -> None:
    reply = {"offsets": [{"partition": {"server": "x"}, "offset": offset}]}
    async with TestServer(answering(reply)) as server, Connect(str(server.make_url(""))) as connect:
        assert await connect.has_read_all("orders_republish") is done
