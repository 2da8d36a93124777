"""How much of a body, and for how long, is waited for, without a server: the edge in front of an application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI, Request

from kompensa_participant import body_limit
from kompensa_participant.body_limit import BODY_LIMIT, BodyLimit
from kompensa_participant.middleware import RequestEdge

CHUNK = 65_536


class Edge:
    """An application behind the edge that answers with the length of the body it was given."""

    def __init__(self) -> None:
        self.reached = 0
        app = FastAPI()
        app.add_middleware(BodyLimit)
        app.add_middleware(RequestEdge)

        @app.post("/")
        async def length(request: Request) -> int:
            self.reached += 1
            return len(await request.body())

        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x")

    async def sent(self, content: bytes | AsyncIterator[bytes], **headers: str) -> tuple[int, object]:
        """Status, and the length that arrived or the problem's type."""
        encoded = {name.encode(): value.encode("latin-1") for name, value in headers.items()}
        reply = await self.client.post("/", content=content, headers=encoded)
        answer = reply.json()
        return reply.status_code, answer if isinstance(answer, int) else answer["type"].rpartition(":")[2]


@pytest.fixture
async def edge() -> AsyncIterator[Edge]:
    made = Edge()
    async with made.client:
        yield made


TOO_LARGE = (413, "body-too-large")


async def test_a_body_of_just_the_limit_arrives_whole(edge: Edge) -> None:
    assert await edge.sent(b" " * BODY_LIMIT) == (200, BODY_LIMIT)


async def test_a_body_that_comes_in_pieces_arrives_whole(edge: Edge) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(BODY_LIMIT // CHUNK):
            yield b" " * CHUNK

    assert await edge.sent(pieces()) == (200, BODY_LIMIT)


async def test_a_declared_length_over_the_limit_is_refused_without_reading(edge: Edge) -> None:
    read = 0

    async def watched() -> AsyncIterator[bytes]:
        nonlocal read
        read += 1
        yield b""

    assert await edge.sent(watched(), **{"Content-Length": str(BODY_LIMIT + 1)}) == TOO_LARGE
    assert (read, edge.reached) == (0, 0)


@pytest.mark.parametrize("declared", [{}, {"Content-Length": "10"}, {"Content-Length": "ten"}, {"Content-Length": "²"}])
async def test_what_comes_is_counted_whatever_was_declared(edge: Edge, declared: dict[str, str]) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 10 * BODY_LIMIT:
            sent += CHUNK
            yield b" " * CHUNK

    assert await edge.sent(endless(), **declared) == TOO_LARGE
    assert sent <= BODY_LIMIT + 2 * CHUNK
    assert edge.reached == 0


async def test_one_byte_over_the_limit_is_too_large(edge: Edge) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b" " * BODY_LIMIT
        yield b" "

    assert await edge.sent(pieces()) == TOO_LARGE
    assert edge.reached == 0


async def test_a_body_that_does_not_end_in_time_is_given_up(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_limit, "BODY_SECONDS", 0.01)

    async def stuck() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    async with asyncio.timeout(10):
        assert await edge.sent(stuck()) == (408, "request-timeout")
    assert edge.reached == 0
