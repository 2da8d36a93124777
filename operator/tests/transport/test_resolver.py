"""Lookups of participants' names: one without an answer does not delay others, and no name is looked up too often."""

import asyncio
import socket
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from threading import Event
from threading import enumerate as enumerate_threads
from typing import Any

import pytest

from kompensa.model.http_call import HttpEndpoint
from kompensa.model.outcomes import Outcome
from kompensa.transport import resolver
from kompensa.transport.http import HttpTransport
from kompensa.transport.port import Participant, Reply
from kompensa.transport.resolver import Resolver
from tests.support.attempts import SAGA, paying
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("client")

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"


class Names:
    """Takes the place of the system's lookups.

    `places` are addresses by name; a name that is in `hanging` is answered for after the test; any other does not
    exist. `asked` counts lookups.
    """

    def __init__(self) -> None:
        self.places: dict[str, tuple[str, ...]] = {"here": ("127.0.0.1",)}
        self.hanging: set[str] = set()
        self.asked: Counter[str] = Counter()
        self.over = Event()

    def look_up(self, host: str, port: Any, *_: Any, **__: Any) -> list[Any]:
        self.asked[host] += 1
        if host in self.hanging:
            self.over.wait(60)
        if host not in self.places:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [
            (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port or 0))
            for address in self.places[host]
        ]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    names = Names()
    monkeypatch.setattr(socket, "getaddrinfo", names.look_up)
    yield names
    names.over.set()


def lookups_under_way() -> set[str]:
    return {thread.name.removeprefix("lookup of ") for thread in enumerate_threads()}


class Caller:
    """Calls one port of this machine under any name."""

    def __init__(self, transport: HttpTransport, port: int, heads: list[str]) -> None:
        self.transport = transport
        self.port = port
        self.heads = heads

    async def call(self, host: str, *, timeout: float = 5.0, scheme: str = "http") -> Reply:
        url = f"{scheme}://{host}:{self.port}"
        participant = Participant(namespace="shop", name="stub", endpoint=HttpEndpoint(url), max_in_flight=999)
        return await self.transport.call(participant, SAGA, paying(timeout=timeout))


@asynccontextmanager
async def calling(tls: ssl.SSLContext | None = None) -> AsyncIterator[Caller]:
    """A participant at 127.0.0.1 that closes after each reply, so that every call makes a connection."""
    heads: list[str] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(OK)
        writer.close()

    listening = await asyncio.start_server(connected, host="127.0.0.1", port=0, ssl=tls)
    transport = HttpTransport()
    try:
        yield Caller(transport, listening.sockets[0].getsockname()[1], heads)
    finally:
        await transport.close()
        listening.close()


async def test_a_name_that_nobody_answers_for_holds_up_no_other(names: Names) -> None:
    names.hanging = {"nowhere"}
    async with calling() as caller:
        hanging = [asyncio.create_task(caller.call("nowhere", timeout=30)) for _ in range(100)]
        await until(lambda: names.asked["nowhere"], "the lookup to hang")
        assert (await caller.call("here")).outcome is Outcome.SUCCEEDED
        assert not any(call.done() for call in hanging)
        names.over.set()
        assert {(await call).reason for call in hanging} == {"Unreachable"}
    assert names.asked["nowhere"] == 1


async def test_a_call_whose_name_nobody_answers_for_says_so_in_time_and_leaves_nothing_behind(names: Names) -> None:
    left: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: left.append(context))
    names.hanging = {"nowhere"}
    async with calling() as caller:
        reply = await caller.call("nowhere", timeout=0.5)
        assert (reply.outcome, reply.reason) == (Outcome.NOT_SENT, "Unreachable")
        names.over.set()
        await until(lambda: "nowhere" not in lookups_under_way(), "the lookup to end")
        reply = await caller.call("nowhere")
    assert "Name or service not known" in (reply.message or "")
    assert left == []


async def test_whoever_gives_up_leaves_the_lookup_to_the_others(names: Names) -> None:
    names.hanging = {"here"}
    lookups = Resolver()
    patient = asyncio.create_task(lookups.addresses("here"))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(lookups.addresses("here"), 0.05)
    names.over.set()
    assert await patient == ("127.0.0.1",)
    assert names.asked["here"] == 1


async def test_an_answer_is_used_again_and_so_is_a_refusal(names: Names) -> None:
    lookups = Resolver()
    for _ in range(3):
        assert await lookups.addresses("here") == ("127.0.0.1",)
        with pytest.raises(OSError, match="nowhere cannot be resolved"):
            await lookups.addresses("nowhere")
    assert names.asked == {"here": 1, "nowhere": 1}


async def test_answers_grow_old(names: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver, "_FRESH", 0.0)
    lookups = Resolver()
    await lookups.addresses("here")
    names.places["here"] = ("127.0.0.9",)
    assert await lookups.addresses("here") == ("127.0.0.9",)


async def test_a_name_that_was_known_is_called_where_it_was_while_its_lookup_hangs(
    names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolver, "_FRESH", 0.0)
    lookups = Resolver()
    await lookups.addresses("here")
    names.hanging = {"here"}
    assert await asyncio.wait_for(lookups.addresses("here"), 5) == ("127.0.0.1",)
    monkeypatch.setattr(resolver, "_STALE", 0.0)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(lookups.addresses("here"), 0.05)


async def test_only_so_many_names_are_looked_up_at_once_and_remembered(
    names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolver, "_LOOKUPS", 2)
    monkeypatch.setattr(resolver, "_NAMES", 2)
    names.hanging = {"a", "b", "c"}
    names.places |= dict.fromkeys(names.hanging, ("127.0.0.1",))
    lookups = Resolver()
    waiting = [asyncio.create_task(lookups.addresses(name)) for name in sorted(names.hanging)]
    await until(lambda: names.asked.total() == 2, "two lookups to hang")
    names.over.set()
    await asyncio.gather(*waiting)
    assert names.asked.total() == 3
    assert len(lookups._answers) == 2


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
async def test_an_address_is_looked_up_by_nobody(names: Names, address: str) -> None:
    assert await Resolver().addresses(address) == (address,)
    assert not names.asked


async def test_the_addresses_of_a_name_are_tried_in_their_order(names: Names) -> None:
    names.places["here"] = ("127.0.0.9", "127.0.0.1")
    async with calling() as caller:
        assert (await caller.call("here")).outcome is Outcome.SUCCEEDED


async def test_a_name_is_looked_up_anew_when_nobody_was_where_it_was(names: Names) -> None:
    names.places["here"] = ("127.0.0.9",)
    async with calling() as caller:
        assert (await caller.call("here")).reason == "Unreachable"
        names.places["here"] = ("127.0.0.1",)
        assert (await caller.call("here")).outcome is Outcome.SUCCEEDED


async def test_a_participant_is_told_the_name_it_was_called_by(names: Names) -> None:
    asked: list[str | None] = []
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.sni_callback = lambda _, name, __: asked.append(name)
    async with calling() as caller:
        await caller.call("here")
        assert f"Host: here:{caller.port}" in caller.heads[0].splitlines()
    async with calling(tls) as caller:
        assert (await caller.call("here", scheme="https")).reason == "Unreachable"  # it has no certificate
    assert asked == ["here"]
