"""Kept connections: which are used again, and which data must never count as a reply."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from kompensa.model.http_call import HttpEndpoint
from kompensa.model.outcomes import Outcome
from kompensa.transport.client import Origin
from kompensa.transport.http import HttpTransport
from kompensa.transport.pool import Pool
from kompensa.transport.port import Participant, Reply
from tests.support.attempts import SAGA, paying

pytestmark = pytest.mark.usefixtures("client")

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n" + b'{"n": %d}'


class Server:
    """Answers the n-th request with the n-th of what it is given to say; the last is repeated."""

    def __init__(self, *says: bytes, closes: bool = False) -> None:
        self.says = says
        self.closes = closes
        self.heads: list[str] = []
        self.connections = 0

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
                said = self.says[min(len(self.heads), len(self.says)) - 1]
                writer.write(said % len(self.heads) if b"%d" in said else said)
                if self.closes:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()


@asynccontextmanager
async def calling(server: Server, host: str = "127.0.0.1") -> AsyncIterator["Caller"]:
    listening = await asyncio.start_server(server.connected, host, 0)
    transport = HttpTransport()
    try:
        yield Caller(transport, f"http://[{host}]" if ":" in host else f"http://{host}", listening)
    finally:
        await transport.close()
        listening.close()


class Caller:
    def __init__(self, transport: HttpTransport, url: str, listening: asyncio.Server) -> None:
        self.transport = transport
        self.url = f"{url}:{listening.sockets[0].getsockname()[1]}"

    async def call(
        self,
        *,
        url: str = "",
        headers: dict[str, str] | None = None,
        token: str | None = None,
        timeout: float = 5.0,
        attempt: int = 1,
        only: bool = False,
    ) -> Reply:
        request = paying(headers=headers, timeout=timeout, attempt=attempt, only=only)
        return await self.transport.call(self.participant(url, token), SAGA, request)

    def participant(self, url: str = "", token: str | None = None) -> Participant:
        return Participant(
            namespace="shop", name="stub", endpoint=HttpEndpoint(url or self.url), max_in_flight=9, token=token
        )


async def test_the_next_call_takes_the_connection_of_the_last() -> None:
    server = Server(OK)
    async with calling(server) as caller:
        replies = [(await caller.call()).reply for _ in range(3)]
    assert (replies, server.connections) == ([{"n": 1}, {"n": 2}, {"n": 3}], 1)


async def test_a_repeated_call_has_a_connection_that_nobody_kept() -> None:
    server = Server(OK)
    async with calling(server) as caller:
        replies = [(await caller.call(attempt=attempt)).reply for attempt in (1, 2, 3, 1)]
    assert replies == [{"n": 1}, {"n": 2}, {"n": 3}, {"n": 4}]
    assert server.connections == 3


async def test_a_call_that_may_not_be_repeated_has_a_connection_that_nobody_kept() -> None:
    server = Server(OK)
    async with calling(server) as caller:
        await caller.call()
        await caller.call(only=True)
    assert server.connections == 2


async def test_a_probe_has_a_connection_that_nobody_kept() -> None:
    server = Server(OK)
    async with calling(server) as caller:
        await caller.call()
        await caller.transport.probe(caller.participant(), SAGA, paying("GET"))
    assert server.connections == 2


async def test_calls_at_the_same_time_have_a_connection_each() -> None:
    server = Server(OK)
    async with calling(server) as caller:
        replies = await asyncio.gather(*(caller.call() for _ in range(3)))
    assert {reply.outcome for reply in replies} == {Outcome.SUCCEEDED}
    assert server.connections == 3


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n" + b'{"x": 1}',
    ],
    ids=["close", "HTTP/1.0", "a reply to nothing behind it"],
)
async def test_a_connection_that_is_not_to_be_kept_is_not(said: bytes) -> None:
    server = Server(said)
    async with calling(server) as caller:
        replies = [(await caller.call()).reply for _ in range(2)]
    assert (replies, server.connections) == ([{}, {}], 2)


async def test_a_late_reply_is_not_the_next_calls() -> None:
    late = asyncio.Event()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if not late.is_set():
            await late.wait()
            writer.write(OK % 1)
        else:
            writer.write(OK % 2)
        writer.close()

    server = Server()
    server.connected = connected  # type: ignore[method-assign]  # this one test wants another conversation
    async with calling(server) as caller:
        first = await caller.call(timeout=0.5)
        late.set()
        second = await caller.call()
    assert (first.reason, second.reply) == ("TimedOut", {"n": 2})


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + OK % 1,
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{"n"\r\n5\r\n: 1}\n\r\n0\r\nX-Trailer: 1\r\n\r\n',
    ],
    ids=["after interim replies", "in chunks"],
)
async def test_a_reply_is_read_however_it_comes(said: bytes) -> None:
    async with calling(Server(said)) as caller:
        assert (await caller.call()).reply == {"n": 1}


@pytest.mark.parametrize("header", [b"", b"Transfer-Encoding: identity\r\n"])
async def test_a_reply_without_a_length_ends_with_its_connection(header: bytes) -> None:
    async with calling(Server(b"HTTP/1.1 200 OK\r\n" + header + b'\r\n{"n": 1}', closes=True)) as caller:
        assert (await caller.call()).reply == {"n": 1}


async def test_a_reply_without_a_body_leaves_the_connection_for_the_next() -> None:
    server = Server(b"HTTP/1.1 204 No Content\r\n\r\n", OK)
    async with calling(server) as caller:
        assert [(await caller.call()).reply for _ in range(2)] == [{}, {"n": 2}]
    assert server.connections == 1


async def test_an_address_may_be_ipv6_and_have_a_path() -> None:
    server = Server(OK)
    async with calling(server, "::1") as caller:
        await caller.call(url=f"{caller.url}/base path/")
    lines = server.heads[0].splitlines()
    assert lines[0] == "POST /base%20path/payments HTTP/1.1"
    assert f"Host: {caller.url.removeprefix('http://')}" in lines


async def test_a_definition_cannot_replace_what_the_protocol_says_in_any_case_of_letters() -> None:
    server = Server(OK)
    theirs = {"idempotency-key": "mine", "content-length": "7", "transfer-encoding": "chunked", "accept": "text/x"}
    async with calling(server) as caller:
        await caller.call(headers=theirs)
    names = [line.partition(":")[0].lower() for line in server.heads[0].splitlines()[1:-1]]
    assert len(names) == len(set(names))
    assert "mine" not in server.heads[0]
    assert "transfer-encoding" not in names
    assert "accept: text/x" in server.heads[0]


async def test_a_token_with_a_line_break_is_not_sent() -> None:
    server = Server(OK)
    async with calling(server) as caller:
        reply = await caller.call(token="secret\r\nX-Forged: 1")
    assert (reply.outcome, reply.reason, server.heads) == (Outcome.MISCONFIGURED, "RequestMalformed", [])
    assert "secret" not in (reply.message or "")


async def test_a_connection_is_closed_when_nobody_used_it_for_long() -> None:
    closed = asyncio.Event()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK % 1)
        await reader.read()
        closed.set()
        writer.close()

    listening = await asyncio.start_server(connected, "127.0.0.1", 0)
    origin = Origin("127.0.0.1", listening.sockets[0].getsockname()[1], False)
    pool = Pool(keep=0.05, limit=1000)
    deadline = asyncio.get_running_loop().time() + 60
    assert pool.kept(origin) is None
    connection = await pool.made(origin, deadline=deadline)
    await connection.exchange(b"GET / HTTP/1.1\r\n\r\n", deadline=deadline)
    pool.give_back(origin, connection)
    await asyncio.wait_for(closed.wait(), 60)
    pool.close()
    listening.close()
