"""A request whose reply is lost is not sent again by the HTTP client: the model counts attempts, and journals them."""

import asyncio

import pytest

from kompensa.model.http_call import HttpEndpoint
from kompensa.model.outcomes import Outcome
from kompensa.transport.http import HttpTransport
from kompensa.transport.port import Participant
from tests.support.attempts import SAGA, paying

pytestmark = pytest.mark.usefixtures("client")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "GET"])
async def test_a_kept_connection_that_breaks_costs_one_attempt(method: str) -> None:
    requests = 0

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        for reply in (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", b""):
            await reader.readuntil(b"\r\n\r\n")
            requests += 1
            writer.write(reply)
        writer.close()

    listening = await asyncio.start_server(connected, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    participant = Participant(namespace="shop", name="stub", endpoint=HttpEndpoint(url), max_in_flight=1)
    transport = HttpTransport()
    try:
        first = await transport.call(participant, SAGA, paying(method))
        second = await transport.call(participant, SAGA, paying(method))
    finally:
        await transport.close()
        listening.close()
    assert (first.outcome, second.outcome) == (Outcome.SUCCEEDED, Outcome.UNKNOWN)
    assert requests == 2
