"""A connection is held for those who send a request, and for as long as its answer takes."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from kompensa.api.connections import REQUEST_TIMEOUT, PromptConnection
from tests.support.virtual_time import elapsed

WHOLE = b"POST / HTTP/1.1\r\nhost: engine\r\ncontent-length: 2\r\n\r\n{}"
ANSWER_TAKES = 300.0


async def slow(scope: Scope, receive: Receive, send: Send) -> None:
    await Request(scope, receive).body()
    await asyncio.sleep(ANSWER_TAKES)
    await Response("answer")(scope, receive, send)


@pytest.fixture
async def port() -> AsyncIterator[int]:
    config = uvicorn.Config(slow, log_config=None, lifespan="off", timeout_keep_alive=30)
    server = await asyncio.get_running_loop().create_server(
        lambda: PromptConnection(config, ServerState(), {}), "127.0.0.1", 0
    )
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize("sent", [b"", WHOLE[:20], WHOLE[:-1]])
async def test_a_request_that_does_not_arrive_is_not_waited_for(port: int, sent: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    assert await reader.read() == b""
    assert elapsed() == pytest.approx(REQUEST_TIMEOUT, abs=1)
    writer.close()


async def test_sending_byte_by_byte_buys_no_time(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for byte in WHOLE:
        writer.write(bytes([byte]))
        await asyncio.sleep(1)
        if reader.at_eof():
            break
    assert elapsed() == pytest.approx(REQUEST_TIMEOUT, abs=2)
    writer.close()


async def test_an_answer_may_take_its_time_and_the_next_request_begins_anew(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(2):
        writer.write(WHOLE)
        assert b"200 OK" in await reader.readuntil(b"answer")
        await asyncio.sleep(REQUEST_TIMEOUT + 5)  # idle, as a client's pool keeps a connection
    assert elapsed() > 2 * ANSWER_TAKES
    writer.write(WHOLE[:20])
    assert await reader.read() == b""
    writer.close()
