"""One attempt over a real socket: the request that a participant gets, and the outcome of each kind of answer."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from kompensa.model.http_call import HttpEndpoint
from kompensa.model.outcomes import Outcome
from kompensa.model.requests import Request
from kompensa.transport.client import REPLY_LIMIT
from kompensa.transport.http import HttpTransport, traceparent
from kompensa.transport.port import Participant, Reply
from tests.support.attempts import SAGA, paying

pytestmark = pytest.mark.usefixtures("client")

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def server(answer: Answer) -> AsyncIterator[tuple[str, list[str]]]:
    """A participant that reads one request head a connection and answers with bytes of the test's choice."""
    heads: list[str] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        await answer(writer)
        writer.close()

    listening = await asyncio.start_server(connected, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}", heads
    listening.close()


def saying(*parts: bytes) -> Answer:
    async def answer(writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()

    return answer


def going_on(beginning: bytes, part: bytes) -> Answer:
    """Sends the part again and again, until the connection is closed."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(beginning)
        while not writer.is_closing():
            writer.write(part)
            await writer.drain()

    return answer


def response(status: str, body: bytes = b"", *headers: str) -> Answer:
    head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""])
    return saying(head.encode() + body)


def request(timeout: float = 5.0, headers: dict[str, str] | None = None) -> Request:
    return paying(attempt=2, headers=headers, body=b'{"a":1}', timeout=timeout)


async def attempt(url: str, wanted: Request | None = None, *, token: str | None = None) -> Reply:
    transport = HttpTransport()
    try:
        return await transport.call(
            Participant(namespace="shop", name="stub", endpoint=HttpEndpoint(url), max_in_flight=4, token=token),
            SAGA,
            wanted or request(),
        )
    finally:
        await transport.close()


async def replied(answer: Answer, wanted: Request | None = None) -> Reply:
    async with server(answer) as (url, _):
        return await attempt(url, wanted)


async def test_a_participant_is_told_which_operation_it_is() -> None:
    async with server(response("200 OK", b"{}")) as (url, heads):
        await attempt(url, token="secret")
    lines = heads[0].splitlines()
    assert lines[0] == "POST /payments HTTP/1.1"
    for line in (
        f"Idempotency-Key: {SAGA}/pay/action",
        f"Saga-Id: {SAGA}",
        "Saga-Step: pay",
        "Saga-Direction: action",
        "Saga-Attempt: 2",
        "Authorization: Bearer secret",
        "Content-Type: application/json",
        f"traceparent: {traceparent(SAGA, f'{SAGA}/pay/action', 2)}",
    ):
        assert line in lines


async def test_a_definition_cannot_replace_the_idempotency_key() -> None:
    async with server(response("200 OK", b"{}")) as (url, heads):
        await attempt(url, request(headers={"Idempotency-Key": "mine", "X-Mine": "kept"}))
    assert "mine" not in heads[0]
    assert "X-Mine: kept" in heads[0]


@pytest.mark.parametrize("name", ["Content-Length", "content-length", "Transfer-Encoding", "Connection"])
async def test_a_definition_cannot_say_where_a_request_ends(name: str) -> None:
    async with server(response("200 OK", b"{}")) as (url, heads):
        reply = await attempt(url, request(headers={name: "chunked"}))
    assert reply.outcome is Outcome.SUCCEEDED
    framing = [line for line in heads[0].lower().splitlines() if "length" in line or "chunked" in line]
    assert framing == ["content-length: 7"]


def test_attempts_of_one_saga_are_spans_of_one_trace() -> None:
    first, second = traceparent(SAGA, "k", 1), traceparent(SAGA, "k", 2)
    assert first.split("-")[1] == second.split("-")[1] == SAGA.replace("-", "")
    assert first.split("-")[2] != second.split("-")[2]


async def test_a_reply_is_read() -> None:
    reply = await replied(response("201 Created", b'{"id":"p-1"}'))
    assert reply == Reply(outcome=Outcome.SUCCEEDED, reply={"id": "p-1"})


async def test_a_redirect_is_not_followed() -> None:
    async with server(response("307 Temporary Redirect", b"", "Location: /elsewhere")) as (url, heads):
        reply = await attempt(url)
    assert (reply.outcome, len(heads)) == (Outcome.UNKNOWN, 1)


async def test_patience_that_is_asked_for_is_passed_on() -> None:
    assert (await replied(response("429 Too Many Requests", b"", "Retry-After: 3"))).retry_after == 3.0


async def test_silence_is_unknown() -> None:
    async def never(_: asyncio.StreamWriter) -> None:
        await asyncio.sleep(30)

    reply = await replied(never, request(timeout=0.5))
    assert (reply.outcome, reply.reason) == (Outcome.UNKNOWN, "TimedOut")


async def test_a_body_that_never_ends_is_unknown_in_time() -> None:
    async def trickle(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
        await asyncio.sleep(30)

    assert (await replied(trickle, request(timeout=0.5))).reason == "TimedOut"


async def test_a_reset_is_unknown() -> None:
    async def reset(writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    reply = await replied(reset)
    assert (reply.outcome, reply.reason) == (Outcome.UNKNOWN, "ConnectionFailed")


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
async def test_a_reply_that_cannot_be_read_is_unknown(said: bytes) -> None:
    reply = await replied(saying(said))
    assert (reply.outcome, reply.reason) == (Outcome.UNKNOWN, "ConnectionFailed")


async def test_a_call_to_an_address_where_nothing_listens_is_not_sent() -> None:
    async with server(saying()) as (url, _):
        pass
    reply = await attempt(url)
    assert (reply.outcome, reply.reason) == (Outcome.NOT_SENT, "Unreachable")
    assert url in (reply.message or "")


async def test_a_call_whose_tls_handshake_fails_is_not_sent() -> None:
    async def connected(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    listening = await asyncio.start_server(connected, "127.0.0.1", 0)
    async with listening:
        reply = await attempt(f"https://127.0.0.1:{listening.sockets[0].getsockname()[1]}")
    assert (reply.outcome, reply.reason) == (Outcome.NOT_SENT, "Unreachable")


async def test_a_connection_that_is_closed_at_once_may_have_carried_the_request() -> None:
    """It is accepted, so the request may have been sent before it was closed."""

    async def connected(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    listening = await asyncio.start_server(connected, "127.0.0.1", 0)
    async with listening:
        reply = await attempt(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}")
    assert (reply.outcome, reply.reason) == (Outcome.UNKNOWN, "ConnectionFailed")


@pytest.mark.parametrize(
    "url", ["http://host:abc", "http://host:99999", "http://[::1", "http://exa_mple..com", f"http://{'a' * 64}"]
)
async def test_a_call_that_cannot_be_sent_for_its_url_is_misconfigured_and_never_unknown(url: str) -> None:
    reply = await attempt(url)
    assert (reply.outcome, reply.reason) == (Outcome.MISCONFIGURED, "RequestMalformed")
    assert url in (reply.message or "")


async def test_a_reply_that_announces_too_much_is_not_read() -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {REPLY_LIMIT + 1}\r\n\r\n".encode()
    reply = await replied(saying(head))
    assert (reply.outcome, reply.reason) == (Outcome.UNKNOWN, "ReplyTooLarge")


async def test_a_reply_that_grows_too_large_is_dropped() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    reply = await replied(going_on(head, b"10000\r\n" + b"x" * 0x10000 + b"\r\n"))
    assert (reply.outcome, reply.reason) == (Outcome.UNKNOWN, "ReplyTooLarge")


async def test_a_head_that_grows_too_large_is_dropped() -> None:
    reply = await replied(going_on(b"HTTP/1.1 200 OK\r\n", b"X-More: " + b"x" * 0x10000 + b"\r\n"))
    assert reply.outcome is Outcome.UNKNOWN
    assert reply.reason in ("ReplyTooLarge", "ConnectionFailed")


async def test_a_change_of_protocol_that_was_not_requested_is_unknown() -> None:
    faults: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    reply = await replied(saying(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nxyz"))
    assert (reply.outcome, faults) == (Outcome.UNKNOWN, [])
    assert "101" in (reply.message or "")


async def test_a_compressed_reply_is_not_unfolded() -> None:
    bomb = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03" + b"\x00" * 64
    reply = await replied(response("200 OK", bomb, "Content-Encoding: gzip"))
    assert (reply.outcome, reply.reply) == (Outcome.SUCCEEDED, {})
    assert "not a JSON object" in (reply.message or "")


def test_a_token_is_not_shown() -> None:
    shown = repr(
        Participant(namespace="shop", name="stub", endpoint=HttpEndpoint("http://x"), max_in_flight=1, token="secret")
    )
    assert "secret" not in shown
